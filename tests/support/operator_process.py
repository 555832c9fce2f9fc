"""A running operator, outside of the cluster, for one set of namespaces."""

import asyncio
import os
import secrets
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from free_port import free_port
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.kubeconfig import from_kubeconfig
from wharfinger_cluster.resource import CONFIG_MAP, DEPLOYMENT, NAMESPACE, NETWORK_POLICY, POD, Scope
from wharfinger_crds import names

QUIET = 1.5
"""Seconds; longer than the operator gathers changes for."""
WRITES = ("create", "apply", "patch", "update", "delete")


@dataclass(frozen=True)
class Namespaces:
    """The four sorts of namespaces of one test."""

    system: str
    catalog: str
    servers: str
    tenant: str


@asynccontextmanager
async def platform_namespaces(cluster: Cluster) -> AsyncIterator[Namespaces]:
    """Make namespaces and platform settings; take them away afterwards."""
    mark = secrets.token_hex(4)
    spaces = Namespaces(f"system-{mark}", f"catalog-{mark}", f"servers-{mark}", f"tenant-{mark}")
    for name in (spaces.system, spaces.catalog, spaces.servers):
        await cluster.create(NAMESPACE, {"metadata": {"name": name}})
    grants = {names.TEAMS_GRANT: "engineering", names.USERS_GRANT: "okta:alice"}
    await cluster.create(NAMESPACE, {"metadata": {"name": spaces.tenant, "annotations": grants}})
    # As the chart does, and the operator misses it where it is not.
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    await cluster.create(NETWORK_POLICY, {"metadata": {"name": "default-deny", "namespace": spaces.servers}, "spec": closed})
    settings = f"""
publicUrl: https://mcp.acme.dev
namespaces: {{system: {spaces.system}, catalog: {spaces.catalog}, servers: [{spaces.servers}], tenants: [{spaces.tenant}]}}
images: {{base: localhost/wharfinger-server-base:dev, bridge: localhost/wharfinger:dev}}
teams: [{{name: engineering, members: ["okta:alice"]}}]
dns: {{addresses: [10.96.0.10]}}
"""
    await cluster.create(
        CONFIG_MAP, {"metadata": {"name": names.SETTINGS_CONFIGMAP, "namespace": spaces.system}, "data": {names.SETTINGS_KEY: settings}}
    )
    yield spaces
    for name in (spaces.tenant, spaces.servers, spaces.catalog, spaces.system):
        await cluster.delete(NAMESPACE, name)


@dataclass
class OperatorProcess:
    """One operator."""

    process: asyncio.subprocess.Process
    port: int
    log: Path = field(repr=False)

    async def metrics(self) -> str:
        """Return its metrics page."""
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}/metrics") as answer:
            return await answer.text()

    async def leads(self) -> bool:
        """Tell whether it holds the lease; fail when it has ended."""
        assert self.process.returncode is None, self.log.read_text()[-4_000:]
        try:
            return "wharfinger_operator_leader 1.0" in await self.metrics()
        except aiohttp.ClientError:
            return False

    async def written(self) -> Counter[str]:
        """Return how many times it wrote each kind of resource, its lease apart, such as `services`."""
        found: Counter[str] = Counter()
        for line in (await self.metrics()).splitlines():
            if line.startswith("wharfinger_api_requests_total") and any(f'verb="{verb}"' in line for verb in WRITES):
                found[line.partition('resource="')[2].partition('"')[0]] += int(float(line.rsplit(" ", 1)[1]))
        del found["leases"]
        return found

    async def writes(self, resource: str = "") -> int:
        """Return how many times it wrote something, its lease apart; or one resource, such as `deployments`."""
        written = await self.written()
        return written[resource] if resource else written.total()

    async def settled(self, seconds: float = 30.0) -> None:
        """Wait until it has written nothing for a while: what it gathers before it writes is written then."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds):
            written, since = -1, loop.time()
            while loop.time() - since < QUIET:
                if (now := await self.writes()) != written:
                    written, since = now, loop.time()
                await asyncio.sleep(0.1)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(30):
            return await self.process.wait()


async def start_operator(
    kubeconfig: str, system: str, log: Path, *, program: str = "wharfinger_operator", python: str = sys.executable, path: str = ""
) -> OperatorProcess:
    """Start an operator; it may have to wait for the lease. `path`: where that `python` looks for packages, if not where we do."""
    port = free_port()
    environment = {
        **os.environ,
        "WHARFINGER_NAMESPACE": system,
        "WHARFINGER_PROBE_PORT": str(port),
        "WHARFINGER_LOGS_PORT": str(free_port()),
        "WHARFINGER_POD": f"test-{port}",
        **({"PYTHONPATH": path} if path else {}),
    }
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            python, "-m", program, "--kubeconfig", kubeconfig, env=environment, stdout=output, stderr=output
        )
    return OperatorProcess(process, port, log)


async def scale_installed_operator(kubeconfig: str, replicas: int) -> int:
    """Scale the operator of an installed chart, wait until its pods are gone or there, and return how many there were wanted before."""
    async with Cluster(await from_kubeconfig(kubeconfig)) as cluster, asyncio.timeout(90):
        try:
            found = await cluster.get(DEPLOYMENT, "wharfinger-operator", "wharfinger-system")
        except NotFound:
            return 0
        await cluster.patch(DEPLOYMENT, "wharfinger-operator", {"spec": {"replicas": replicas}}, "wharfinger-system")
        pods = Scope("wharfinger-system", labels="app.kubernetes.io/component=operator")
        while len(await cluster.list(POD, pods)) != replicas:  # noqa: ASYNC110 - asked, because a test needs no informer for one answer
            await asyncio.sleep(0.2)
        before: int = found["spec"]["replicas"]
        return before
