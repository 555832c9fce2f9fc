"""The namespaces and objects of one operator under test, and waiting for what it does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from argo_health import objections
from operator_process import Namespaces, OperatorProcess, start_operator
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import CONFIG_MAP, DEPLOYMENT, NETWORK_POLICY, SECRET, SERVICE, SERVICE_ACCOUNT, Object, Scope
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION, KINDS, REGISTRY_ENTRY, Kind

SECONDS = 60.0
ALLOWED = {names.ALLOW_DELETION: "true"}
CHILDREN = (DEPLOYMENT, SERVICE, NETWORK_POLICY, SERVICE_ACCOUNT, SECRET)


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = SECONDS) -> Any:
    """Return the condition's value as soon as it is true; fail when it is not within `seconds`."""
    async with asyncio.timeout(seconds):
        while not (value := await condition()):  # noqa: ASYNC110 - the API server is asked, and knows no event of ours
            await asyncio.sleep(0.05)
    return value


@dataclass
class Platform:
    """The namespaces of one test, and objects in them."""

    cluster: Cluster
    spaces: Namespaces
    kubeconfig: str
    log: Path
    mark: str
    clusterwide: dict[tuple[str, str], Kind] = field(default_factory=dict, repr=False)
    """What was made beside the namespaces, by kind and name: taken away at the end, the newest first."""
    operators: list[OperatorProcess] = field(default_factory=list, repr=False)

    async def operator(self) -> OperatorProcess:
        """Start an operator, which ends with the platform if not before."""
        started = await start_operator(self.kubeconfig, self.spaces.system, self.log)
        self.operators.append(started)
        return started

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[OperatorProcess]:
        """Run an operator that leads; it is stopped whatever happens."""
        running = await self.operator()
        try:
            await until(running.leads, 60)
            yield running
        finally:
            await running.stop()

    async def apply(self, kind: Kind, name: str, spec: dict[str, Any]) -> Object:
        metadata: dict[str, Any] = {"name": name, **({"namespace": self.spaces.tenant} if kind.namespaced else {})}
        if not kind.namespaced:
            self.taken_away_at_the_end(kind, name)
            # An installed chart's policy refuses to lose what is in use.
            metadata["annotations"] = ALLOWED
        return await self.cluster.apply(kind_resource(kind), {"metadata": metadata, "spec": spec})

    async def get(self, kind: Kind, name: str) -> Object | None:
        try:
            return await self.cluster.get(kind_resource(kind), name, self.spaces.tenant if kind.namespaced else None)
        except NotFound:
            return None

    async def ready(self, kind: Kind, name: str) -> dict[str, Any]:
        found = await self.get(kind, name) or {}
        conditions = found.get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == "Ready"), {})

    async def children(self) -> list[Object]:
        """Return what installations of this platform caused, in every namespace."""
        managed = f"{names.MANAGED_BY}={names.MANAGER}"
        found = [o for resource in CHILDREN for o in await self.cluster.list(resource, Scope(self.spaces.servers, labels=managed))]
        found += await self.cluster.list(SECRET, Scope(self.spaces.system, labels=f"{managed},{names.PART}=connection"))
        return found + list(await self.cluster.list(CONFIG_MAP, Scope(self.spaces.system, labels=f"{managed},{names.PART}=tools")))

    async def kinds(self) -> list[str]:
        return sorted(o["kind"] for o in await self.children())

    async def environment(self, **egress: Any) -> None:
        """Make the environment of this platform, or change its egress rules."""
        # No node takes these pods, whether there is one or not: what they would go through is the node's tests' business.
        nowhere = {"nodeSelector": {"wharfinger.dev/test": "nowhere"}}
        await self.apply(ENVIRONMENT, f"env-{self.mark}", {"title": "X", "podDefaults": nowhere, "egress": {"mode": "DenyAll", **egress}})

    async def install(self, name: str = "time", **egress: Any) -> None:
        """Make an environment with these egress rules, an entry and an installation of a stdio server."""
        await self.environment(**egress)
        hosted = {"command": ["mcp-server-time"], "transport": "Stdio"}
        await self.apply(
            REGISTRY_ENTRY,
            f"entry-{self.mark}",
            {"title": "X", "type": "SelfHosted", "selfHosted": hosted, "environmentRef": {"name": f"env-{self.mark}"}},
        )
        await self.apply(INSTALLATION, name, {"entryRef": {"name": f"entry-{self.mark}"}, "owner": {"team": "engineering"}})

    async def looked_at_again(self, name: str = "time", namespace: str = "") -> None:
        """Return when the operator has looked at an installation once more: it has repaired what is broken here."""
        where, server = namespace or self.spaces.servers, names.server_name(self.spaces.tenant, name)
        before = await self.cluster.get(SERVICE, server, where)
        await self.cluster.delete(SERVICE, server, where)

        async def is_back() -> bool:
            found = await self.cluster.list(SERVICE, Scope(where, fields=f"metadata.name={server}"))
            return any(o["metadata"]["uid"] != before["metadata"]["uid"] for o in found)

        await until(is_back)

    def taken_away_at_the_end(self, kind: Kind, name: str) -> None:
        """Have an object of the whole cluster deleted with this platform."""
        self.clusterwide[kind.kind, name] = kind

    async def close(self) -> None:
        """Stop everything and take it away. Fails where Argo CD and kstatus would read one of the statuses that are there differently."""
        for started in self.operators:
            await started.stop()
        said = objections(await self._own_objects())
        for (_, name), kind in reversed(self.clusterwide.items()):
            with suppress(NotFound):
                await self.cluster.patch(kind_resource(kind), name, {"metadata": {"annotations": ALLOWED}})
                await self.cluster.delete(kind_resource(kind), name)
        assert not said, "\n".join(said)

    async def _own_objects(self) -> list[Object]:
        found = [await self.get(kind, name) for (_, name), kind in self.clusterwide.items()]
        for kind in KINDS:
            for namespace in (self.spaces.tenant, self.spaces.system) if kind.namespaced else ():
                found += await self.cluster.list(kind_resource(kind), Scope(namespace))
        return [one for one in found if one is not None]
