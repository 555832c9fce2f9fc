"""`wharfinger-operator`: become the leader, then work."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop
from aiohttp import web

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import ClusterError, NotFound, Unreachable
from wharfinger_cluster.lease import Lease
from wharfinger_cluster.login import Login
from wharfinger_cluster.login import login as log_in
from wharfinger_crds import names
from wharfinger_crds.settings import Settings, SettingsError
from wharfinger_operator.configuration import Configuration
from wharfinger_operator.logs import LogEndpoint
from wharfinger_operator.operator import Operator
from wharfinger_operator.platform_settings import settings_of
from wharfinger_operator.root_key import RootKeyError
from wharfinger_operator.telemetry import Telemetry

_log = logging.getLogger("wharfinger_operator")


def main() -> int:
    """Run the operator until SIGTERM or until the lease is lost; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="wharfinger-operator",
        description="Turns Wharfinger's custom resources into workloads, policies and connections.",
        epilog="Environment: WHARFINGER_NAMESPACE, WHARFINGER_POD, WHARFINGER_PROBE_PORT, WHARFINGER_LOGS_PORT, WHARFINGER_WORKERS, WHARFINGER_LOG_LEVEL.",
    )
    parser.add_argument("--kubeconfig", default="", help="run outside of the cluster, with this kubeconfig")
    arguments = parser.parse_args()
    try:
        configuration = Configuration.from_environ(os.environ)
    except ValueError as error:
        parser.error(str(error))
    logging.basicConfig(level=configuration.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    _collect_less()
    return uvloop.run(_run(configuration, arguments.kubeconfig))


def _collect_less() -> None:
    """Let the collector look for cycles less often, and never among what importing has left: it took a tenth of the CPU time, for nothing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _run(configuration: Configuration, kubeconfig: str) -> int:
    telemetry = Telemetry()
    try:
        async with _served(telemetry.application(), configuration.probe_port):
            login = await log_in(os.environ, kubeconfig=kubeconfig)
            async with Cluster(login, on_request=telemetry.request) as cluster:
                logs = LogEndpoint(cluster, configuration.system_namespace)
                async with _served(logs.application(), configuration.logs_port):
                    return await _lead(cluster, login, configuration, telemetry)
    except (ClusterError, SettingsError, RootKeyError) as error:
        _log.error("%s", error)
        return 1


@asynccontextmanager
async def _served(application: web.Application, port: int) -> AsyncIterator[None]:
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, port).start()
        yield
    finally:
        await runner.cleanup()


async def _lead(cluster: Cluster, login: Login, configuration: Configuration, telemetry: Telemetry) -> int:
    lease = Lease(cluster, names.OPERATOR_LEASE, configuration.system_namespace, f"{configuration.identity}-{secrets.token_hex(4)}")
    terminated = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, terminated.set)
    waiting = asyncio.create_task(terminated.wait())
    acquiring = asyncio.create_task(lease.acquire())
    await asyncio.wait({waiting, acquiring}, return_when=asyncio.FIRST_COMPLETED)
    if not acquiring.done():
        acquiring.cancel()
        return 0
    telemetry.leader.set(1)
    settings = await _settings(cluster, configuration.system_namespace)
    operator = Operator(cluster, login, configuration, settings, telemetry)
    working, holding = asyncio.create_task(operator.run()), asyncio.create_task(lease.hold())
    await asyncio.wait({waiting, working, holding}, return_when=asyncio.FIRST_COMPLETED)
    if holding.done() and (lost := holding.exception()):
        # Another may be at work already: no clean-up, no last writes.
        _log.error("%s", lost)
        os._exit(1)
    operator.stop()
    try:
        await working
    finally:
        holding.cancel()
        await lease.release()
    return 0


async def _settings(cluster: Cluster, namespace: str) -> Settings:
    """Read the platform settings, waiting while the API server cannot be asked."""
    while True:
        try:
            return await settings_of(cluster, namespace)
        except Unreachable as error:
            _log.warning("%s; trying again", error)
            await asyncio.sleep(2)
        except NotFound:
            raise SettingsError(f"there is no ConfigMap {namespace}/{names.SETTINGS_CONFIGMAP}: install the chart first") from None


if __name__ == "__main__":
    sys.exit(main())
