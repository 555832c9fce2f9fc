"""Run the bridge: listen, keep the server running, and on SIGTERM finish what is in flight, end the server and exit 0."""

import asyncio
import errno
import signal
import socket
import sys
from typing import Any

from wharfinger_bridge.bearer import TokenFile
from wharfinger_bridge.endpoint import Endpoint
from wharfinger_bridge.http_server import Connection, HttpServer, Limits
from wharfinger_bridge.launch import Launcher
from wharfinger_bridge.log import log
from wharfinger_bridge.options import Options, parse_options
from wharfinger_bridge.sessions import Sessions
from wharfinger_bridge.supervise import Supervisor

_PROBES = 64
"""Connections beyond the calls in flight: for probes, notifications and refusals."""
_BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; `::` takes IPv4 as well, and is IPv4 alone on a node without IPv6. Raises OSError."""
    try:
        listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listening.family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind((host, port))
    except OSError as error:
        if host == "::" and error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
            return listen("0.0.0.0", port)  # noqa: S104  the pod's address is not known here
        raise
    listening.listen(_BACKLOG)
    return listening


async def run(options: Options, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_fault)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    launcher = Launcher(options.command, probe_patience=options.probe_patience, handshake_timeout=options.handshake_timeout)
    servers: Supervisor | Sessions = Supervisor(launcher)
    if options.max_sessions is not None:
        servers = Sessions(launcher, most=options.max_sessions, idle_timeout=options.idle_timeout)
    tokens, announcements = TokenFile(options.token_file), launcher.announcements
    endpoint = Endpoint(servers, tokens, announcements, max_in_flight=options.max_in_flight, call_timeout=options.call_timeout)
    http = HttpServer(endpoint, Limits(body=options.max_body, connections=options.max_in_flight + _PROBES))
    accepting = await loop.create_server(lambda: Connection(http), sock=listening)
    log("listening", port=listening.getsockname()[1])
    supervising = asyncio.create_task(servers.run())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({supervising, stopped}, return_when=asyncio.FIRST_COMPLETED)
    accepting.close()
    announcements.close()
    log("stopping", in_flight=len(http.tasks))
    cut = await http.drain(options.grace)
    supervising.cancel()
    await asyncio.wait({supervising})
    log("stopped", cut_off=cut)
    if not supervising.cancelled():
        supervising.result()


def _log_fault(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log("fault", what=context["message"], error=type(context.get("exception")).__name__)


def main(arguments: list[str]) -> int:
    """Run the bridge and return its exit status."""
    options = parse_options(arguments)
    try:
        listening = listen(options.host, options.port)
    except OSError as error:
        log("cannot listen", host=options.host, port=options.port, reason=error.strerror)
        return 1
    asyncio.run(run(options, listening))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
