"""The process: what runs in it, when it is ready, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.login import Login
from wharfinger_gateway.audit import AuditLog
from wharfinger_gateway.connection_bounds import raise_file_limit
from wharfinger_gateway.current import Current
from wharfinger_gateway.http_server import HttpServer
from wharfinger_gateway.last_used import LastUsed
from wharfinger_gateway.late_doors import LateDoors
from wharfinger_gateway.oauth_edge import Answer
from wharfinger_gateway.pipeline import Pipeline
from wharfinger_gateway.replica import Place
from wharfinger_gateway.settings import Address, Settings, SettingsError
from wharfinger_gateway.telemetry import Telemetry
from wharfinger_gateway.trace import Passing, Tracer
from wharfinger_gateway.upstreams import Upstreams
from wharfinger_gateway.watch import Watch
from wharfinger_gateway.web import mcp_server, probe_server
from wharfinger_mcp.http_client import HttpClient

_log = logging.getLogger(__name__)


async def run(settings: Settings, login: Login) -> None:
    """Serve until SIGTERM or SIGINT, then let calls end.

    Raises SettingsError (`wharfinger_crds.settings`) where the platform settings are unusable at the start, OSError where an address
    cannot be listened on.
    """
    stop = stop_signal()
    async with Cluster(login) as cluster:
        current, namespace = Current(), settings.system_namespace or login.namespace
        used = LastUsed(cluster, namespace, time.time)
        current.bearers.note = used.note
        doors = LateDoors(cluster, namespace, current)
        async with serving(settings, current, stop, doors.answer) as (telemetry, upstreams):
            watch = Watch(cluster, namespace, current, telemetry, upstreams.keep)
            telemetry.watch_age(watch.age)
            watching = asyncio.create_task(watch.run(doors))
            writing = asyncio.create_task(used.run())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait((watching, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if watching.done():
                watching.result()
        for task in (watching, writing):
            task.cancel()
        await asyncio.wait((watching, writing))
        await doors.close()


def stop_signal() -> asyncio.Event:
    """Return the event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@asynccontextmanager
async def serving(
    settings: Settings, current: Current, stop: asyncio.Event, aside: Answer | None = None
) -> AsyncIterator[tuple[Telemetry, Upstreams]]:
    """Serve what is in force; at the end stop accepting, and wait for calls as long as the settings allow. `aside` answers what is no call.

    Ready means: there is a snapshot, and `stop` is not set. An API server out of reach changes nothing about that.
    """
    raise_file_limit()
    _collect_rarely()
    audit = AuditLog(sys.stdout.buffer)
    tracer = _tracer(settings)
    telemetry = Telemetry(audit.write, tracer=tracer, argument_bytes=settings.audit_argument_bytes)
    upstreams = Upstreams(HttpClient(observe=telemetry.connected))
    pipeline = Pipeline(current, upstreams, telemetry, Place(settings.listen.loopback, settings.replica_address))
    sweeping = [asyncio.create_task(one.sweep()) for one in (upstreams, pipeline)]
    probes = probe_server(lambda: current.snapshot is not None and not stop.is_set(), telemetry.registry)
    server = mcp_server(pipeline.serve, telemetry.client_ended, aside)
    telemetry.watch_clients(lambda: len(server.connections), lambda: server.connections.unread)
    telemetry.watch_sessions(lambda: len(upstreams))
    await _listen("clients", server, settings.listen)
    await _listen("probes", probes, settings.probe_listen)  # last: who asks whether it is ready may connect at once
    try:
        yield telemetry, upstreams
    finally:
        end = asyncio.get_running_loop().time() + settings.drain_seconds
        server.is_ending = True
        await pipeline.drain(settings.drain_seconds)
        await server.close(end - asyncio.get_running_loop().time())
        for task in sweeping:
            task.cancel()
        await upstreams.close()
        await pipeline.close()
        await asyncio.to_thread(tracer.close)
        await probes.close()
        audit.flush()


def _collect_rarely() -> None:
    """Have garbage in cycles looked for less often. A call makes hundreds of objects and no cycle; the looking is a twentieth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _tracer(settings: Settings) -> Tracer:
    if not settings.export_traces:
        return Passing()
    try:
        from wharfinger_gateway.tracing import Exporting  # noqa: PLC0415 - nobody else pays for the library
    except ImportError as error:
        raise SettingsError("OTEL_EXPORTER_OTLP_ENDPOINT is set, and the extra `tracing` is not installed") from error
    return Exporting()


async def _listen(whom: str, server: HttpServer, address: Address) -> None:
    for host, port in await server.listen(address.host, address.port):
        _log.info("listening for %s on %s port %s", whom, host, port)
