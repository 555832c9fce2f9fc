"""The bridge's command line: `[options] -- COMMAND [ARGUMENT …]`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """How to serve which command."""

    host: str
    port: int
    token_file: Path
    command: tuple[str, ...]
    max_body: int
    max_in_flight: int
    call_timeout: float
    probe_patience: float
    handshake_timeout: float
    grace: float
    max_sessions: int | None
    """None: one server for all."""
    idle_timeout: float


def parse_options(arguments: Sequence[str]) -> Options:
    """Return the options of a command line; a wrong one ends the program with status 2 and says why on stderr."""
    parser = argparse.ArgumentParser(
        "wharfinger_bridge",
        usage="%(prog)s [options] -- COMMAND [ARGUMENT ...]",
        description="Serve a stdio MCP server as streamable HTTP at /mcp.",
        allow_abbrev=False,
    )
    parser.add_argument("--listen", default="[::]:8080", metavar="HOST:PORT", help="an IP address; [::] takes IPv4 too (%(default)s)")
    parser.add_argument("--token-file", type=Path, required=True, metavar="FILE", help="bearer tokens, one a line, read again when changed")
    parser.add_argument("--max-body", type=_count, default=4 * 1024 * 1024, metavar="BYTES", help="of one request (%(default)s)")
    parser.add_argument("--max-in-flight", type=_count, default=1024, metavar="CALLS", help="beyond: HTTP 503 (%(default)s)")
    parser.add_argument("--call-timeout", type=_seconds, default=300.0, metavar="SECONDS", help="for one answer (%(default)s)")
    parser.add_argument(
        "--probe-patience", type=_seconds, default=5.0, metavar="SECONDS", help="before initialize is sent too (%(default)s)"
    )
    parser.add_argument(
        "--handshake-timeout", type=_seconds, default=300.0, metavar="SECONDS", help="for a start, downloads included (%(default)s)"
    )
    parser.add_argument("--grace", type=_seconds, default=20.0, metavar="SECONDS", help="for calls in flight after SIGTERM (%(default)s)")
    parser.add_argument("--max-sessions", type=_count, metavar="SESSIONS", help="a server for each, and no more; omitted: one for all")
    parser.add_argument("--idle-timeout", type=_seconds, default=300.0, metavar="SECONDS", help="of a session without calls (%(default)s)")
    # Split here: argparse reads a second `--`, or an option of the server's, differently from one version to the next.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    parsed = parser.parse_args(arguments[:end])
    command = tuple(arguments[end + 1 :])
    if not command:
        parser.error("a command is required after --")
    host, _, port = parsed.listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65535:
        parser.error(f"--listen {parsed.listen}: expected HOST:PORT")
    return Options(
        host.strip("[]"),
        int(port),
        parsed.token_file,
        command,
        parsed.max_body,
        parsed.max_in_flight,
        parsed.call_timeout,
        parsed.probe_patience,
        parsed.handshake_timeout,
        parsed.grace,
        parsed.max_sessions,
        parsed.idle_timeout,
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) == int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 9999999999")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds up to 86400")
    return value
