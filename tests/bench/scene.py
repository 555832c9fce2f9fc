"""Hundreds and thousands of installations, and the operators that look after them."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from bench import hollow
from bench.interpreter import interpreter, search_path
from bench.pod_login import SERVER, pod_login

from local_cluster import process
from operator_process import Namespaces, OperatorProcess, platform_namespaces, start_operator
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.informer import Informer
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import SECRET, Object, Scope
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION, REGISTRY_ENTRY

ROOT: Final = Path(__file__).parents[2]
ENTRIES: Final = 20


@contextmanager
def halted_controllers() -> Iterator[None]:
    """Halt the local cluster's controllers and its scheduler."""
    found = [p for p in process.recorded() if p.name in {"controller-manager", "scheduler"} and process.is_alive(p)]
    for one in found:
        os.kill(one.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in found:
            os.kill(one.pid, signal.SIGCONT)


class Scene:
    """The installations of one size, and the operators that look after them."""

    def __init__(self, cluster: Cluster, spaces: Namespaces, kubeconfig: str, size: int, log: Path) -> None:
        self.cluster = cluster
        self.spaces = spaces
        self.size = size
        self.mark = spaces.system.removeprefix("system-")
        self.kubeconfig = kubeconfig
        self._log = log
        self.installations = Informer(cluster, kind_resource(INSTALLATION), Scope(spaces.tenant), transform=_conditions)

    async def operator(self) -> OperatorProcess:
        """Start an operator; it may have to wait for the lease."""
        python, path = interpreter(), search_path(ROOT)
        return await start_operator(
            self.kubeconfig, self.spaces.system, self._log, program="bench.hollow_operator", python=python, path=path
        )

    def entry(self, number: int) -> str:
        """Return the name of an entry."""
        return f"bench-{self.mark}-{number % ENTRIES}"

    async def make(self) -> None:
        """Make the environment, the entries and, eight at a time, the installations, each with a Secret of its own."""
        await self.cluster.apply(
            kind_resource(ENVIRONMENT),
            {"metadata": {"name": f"bench-{self.mark}"}, "spec": {"title": "X", "egress": {"mode": "AllowAll"}}},
        )
        for number in range(ENTRIES):
            hosted = {"command": ["server"], "transport": "Stdio", "env": [{"name": "TOKEN", "value": "${fields.token}"}]}
            spec = {
                "title": "X", "type": "SelfHosted", "selfHosted": hosted, "environmentRef": {"name": f"bench-{self.mark}"},
                "fields": [{"name": "token", "type": "String", "secret": True, "required": True}],
            }  # fmt: skip
            await self.cluster.apply(kind_resource(REGISTRY_ENTRY), {"metadata": {"name": self.entry(number)}, "spec": spec})
        await self._each(self._install)

    async def _install(self, number: int) -> None:
        metadata = {"name": f"server-{number:04}", "namespace": self.spaces.tenant}
        await self.cluster.create(
            SECRET, {"metadata": {**metadata, "labels": {names.USABLE: "true"}}, "stringData": {"token": f"token-{number}"}}
        )
        source = {"field": "token", "secretKeyRef": {"name": metadata["name"], "key": "token"}}
        spec = {"entryRef": {"name": self.entry(number)}, "owner": {"team": "engineering"}, "valuesFrom": [source]}
        await self.cluster.create(kind_resource(INSTALLATION), {"metadata": metadata, "spec": spec})

    async def remove(self) -> None:
        """Delete the installations, eight at a time."""

        async def one(number: int) -> None:
            await self.cluster.delete(kind_resource(INSTALLATION), f"server-{number:04}", self.spaces.tenant)

        await self._each(one)

    async def _each(self, work: Callable[[int], Awaitable[None]]) -> None:
        numbers = iter(range(self.size))

        async def worker() -> None:
            for number in numbers:
                await work(number)

        await asyncio.gather(*(worker() for _ in range(8)))

    def server(self, number: int) -> str:
        """Return the name of an installation's workload."""
        return names.server_name(self.spaces.tenant, f"server-{number:04}")

    async def ready(self) -> bool:
        """Tell whether every installation is reported Ready."""
        return sum(1 for found in self.installations.store.values() if found["ready"]) == self.size

    async def close(self) -> None:
        """Take the cluster-scoped objects away."""
        for number in range(ENTRIES):
            await self.cluster.delete(kind_resource(REGISTRY_ENTRY), self.entry(number))
        await self.cluster.delete(kind_resource(ENVIRONMENT), f"bench-{self.mark}")


def _conditions(found: Object) -> Object:
    conditions = {c["type"]: c["status"] for c in found.get("status", {}).get("conditions", [])}
    return {
        "metadata": {key: found["metadata"].get(key) for key in ("name", "namespace", "uid", "resourceVersion")},
        "ready": conditions.get("Ready") == "True",
    }


@asynccontextmanager
async def open_scene(cluster: Cluster, kubeconfig: str, size: int, log: Path) -> AsyncIterator[Scene]:
    async with platform_namespaces(cluster) as spaces, hollow.hollow_server() as url, pod_login(cluster, kubeconfig, spaces.system):
        os.environ[SERVER] = url
        scene = Scene(cluster, spaces, kubeconfig, size, log)
        with halted_controllers():
            following = asyncio.create_task(scene.installations.run())
            async with hollow.hollow_node(cluster, spaces.servers):
                await scene.make()
                yield scene
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await scene.close()
