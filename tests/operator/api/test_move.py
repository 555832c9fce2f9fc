"""A server that moves to an environment in another namespace, on a real API server. The test makes pods ready, in place of a kubelet."""

import asyncio
import base64
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from operator_platform import CHILDREN, Platform, until
from operator_process import OperatorProcess
from ready_pods import ready_pods
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import CONFIG_MAP, DEPLOYMENT, NAMESPACE, NETWORK_POLICY, SECRET, Object, Resource, Scope
from wharfinger_crds import names
from wharfinger_crds.connection import read_connection
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION, REGISTRY_ENTRY

SECONDS = 40.0
RESOURCE_QUOTA = Resource("", "v1", "resourcequotas", "ResourceQuota")
pytestmark = pytest.mark.requirement("INS-7")


@dataclass
class Places:
    """An installation with a choice of three environments, each in a server namespace of its own."""

    platform: Platform
    namespaces: dict[str, str]
    """By the last part of the environment's name."""

    @property
    def server(self) -> str:
        return names.server_name(self.platform.spaces.tenant, "time")

    def environment(self, place: str) -> str:
        return f"env-{self.platform.mark}-{place}"

    async def environments(self, **spec: Any) -> None:
        nowhere = {"nodeSelector": {"wharfinger.dev/test": "nowhere"}}
        for place, namespace in self.namespaces.items():
            wanted = {"title": "X", "namespace": namespace, "podDefaults": nowhere, "egress": {"mode": "DenyAll"}, **spec}
            await self.platform.apply(ENVIRONMENT, self.environment(place), wanted)

    async def entry(self, place: str) -> None:
        """Write the entry: where its installations run, if they choose nothing else."""
        hosted = {"command": ["mcp-server-time"], "transport": "Stdio"}
        environments = {
            "environmentRef": {"name": self.environment(place)},
            "allowedEnvironments": sorted(self.environment(each) for each in self.namespaces),
        }
        spec = {"title": "X", "type": "SelfHosted", "selfHosted": hosted, **environments}
        await self.platform.apply(REGISTRY_ENTRY, f"entry-{self.platform.mark}", spec)

    async def installation(self, place: str = "", **more: Any) -> None:
        chosen = {"environmentRef": {"name": self.environment(place)}} if place else {}
        spec = {"entryRef": {"name": f"entry-{self.platform.mark}"}, "owner": {"team": "engineering"}, **chosen, **more}
        await self.platform.apply(INSTALLATION, "time", spec)

    async def deployment(self, place: str) -> Object | None:
        try:
            return await self.platform.cluster.get(DEPLOYMENT, self.server, self.namespaces[place])
        except NotFound:
            return None

    async def children(self, place: str) -> list[Object]:
        managed = f"{names.MANAGED_BY}={names.MANAGER}"
        scope = Scope(self.namespaces[place], labels=managed)
        return [o for resource in CHILDREN for o in await self.platform.cluster.list(resource, scope)]

    async def called(self) -> str:
        """Return the place of the server that gateways call."""
        name = names.connection_name(self.platform.spaces.tenant, "time")
        secret = await self.platform.cluster.get(SECRET, name, self.platform.spaces.system)
        url = read_connection(base64.b64decode(secret["data"][names.CONNECTION_KEY])).url
        return next(place for place, namespace in self.namespaces.items() if f".{namespace}.svc:" in url)

    async def condition(self, kind: str) -> dict[str, Any]:
        found = await self.platform.get(INSTALLATION, "time") or {}
        conditions: list[dict[str, Any]] = found.get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    async def workload(self) -> dict[str, Any]:
        return await self.condition("WorkloadAvailable")

    async def is_asked(self) -> bool:
        """Tell whether the server was asked for its tools, in vain as no pod is behind it: from then on nothing of that is written."""
        return (await self.condition("Discovered")).get("reason") == "DiscoveryFailed"

    async def is_up(self, place: str) -> bool:
        """Make the pods of a place ready; tell whether the Deployment says that its server is available."""
        await ready_pods(self.platform.cluster, self.namespaces[place])
        found = await self.deployment(place)
        return found is not None and found.get("status", {}).get("availableReplicas") == 1

    async def serves(self, place: str) -> bool:
        """Tell whether a place is the only one that is left, and reported."""
        await ready_pods(self.platform.cluster, self.namespaces[place])
        left = [each for each in self.namespaces if await self.children(each)]
        found = (await self.platform.get(INSTALLATION, "time") or {}).get("status", {})
        at = (found.get("environment"), found.get("workload", {}).get("namespace"))
        available = (await self.workload()).get("status") == "True"
        return available and left == [place] and await self.called() == place and at == (self.environment(place), self.namespaces[place])

    async def is_moving(self, place: str) -> bool:
        """Tell whether the status says that the server is on its way to a place, and it is being made there."""
        found = await self.workload()
        said = found.get("reason") == "Progressing" and f"moves to namespace {self.namespaces[place]}" in found["message"]
        return said and await self.deployment(place) is not None

    @asynccontextmanager
    async def never_without_a_server(self) -> AsyncIterator[None]:
        """Look again and again whether the server that gateways call is available; fail where it once was not."""
        gaps: list[str] = []

        async def look() -> None:
            while True:
                place = await self.called()
                found = (await self.deployment(place) or {}).get("status", {})
                if not found.get("availableReplicas"):
                    gaps.append(place)
                await asyncio.sleep(0)

        looking = asyncio.create_task(look())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.wait({looking})
        assert looking.cancelled()
        assert gaps == []


@pytest.fixture
async def places(platform: Platform) -> AsyncIterator[Places]:
    spaces = platform.spaces
    more = {"new": f"{spaces.servers}-new", "third": f"{spaces.servers}-third"}
    for name in more.values():
        await platform.cluster.create(NAMESPACE, {"metadata": {"name": name}})
    found = await platform.cluster.get(CONFIG_MAP, names.SETTINGS_CONFIGMAP, spaces.system)
    servers = ", ".join((spaces.servers, *more.values()))
    settings = found["data"][names.SETTINGS_KEY].replace(f"servers: [{spaces.servers}]", f"servers: [{servers}]")
    await platform.cluster.patch(CONFIG_MAP, names.SETTINGS_CONFIGMAP, {"data": {names.SETTINGS_KEY: settings}}, spaces.system)
    made = Places(platform, {"old": spaces.servers, **more})
    await made.environments()
    await made.entry("old")
    yield made
    for name in more.values():
        await platform.cluster.delete(NAMESPACE, name)


@pytest.fixture
async def running(places: Places) -> AsyncIterator[OperatorProcess]:
    """An operator, and a server in the old place."""
    operator = await places.platform.operator()
    try:
        await until(operator.leads, 60)
        await places.installation()
        await until(partial(places.serves, "old"), SECONDS)
        await until(places.is_asked, SECONDS)
        yield operator
    finally:
        await operator.stop()


@pytest.mark.requirement("REG-9")
async def test_an_entry_that_names_another_environment_moves_its_servers_without_a_gap(places: Places, running: OperatorProcess) -> None:
    (before,) = [o for o in await places.children("old") if o["kind"] == "Deployment"]
    async with places.never_without_a_server():
        await places.entry("new")
        await until(partial(places.is_moving, "new"), SECONDS)
        assert (await places.workload())["status"] == "True"
        assert await places.called() == "old"
        after = await places.deployment("old")
        assert after is not None
        assert after["metadata"]["generation"] == before["metadata"]["generation"]
        await running.settled()
        written = await running.written()
        await places.platform.looked_at_again(namespace=places.namespaces["new"])

        async def is_counted() -> bool:
            # A write is seen in the cluster before its answer is counted.
            return await running.written() != written

        await until(is_counted, SECONDS)
        assert await running.written() - written == Counter(services=1)

        await until(partial(places.is_up, "new"), SECONDS)
        await until(partial(places.serves, "new"), SECONDS)
    await running.settled()


async def test_a_second_move_and_an_operator_that_is_killed_in_the_middle_change_nothing_about_the_end(
    places: Places, running: OperatorProcess
) -> None:
    async with places.never_without_a_server():
        await places.installation("new")
        await until(partial(places.is_moving, "new"), SECONDS)
        await running.settled()
        await running.stop(signal.SIGKILL)

        second = await places.platform.operator()
        try:
            await until(second.leads, 60)
            await places.platform.looked_at_again(namespace=places.namespaces["new"])
            assert await second.writes() == 1
            assert await places.called() == "old"

            await places.installation("third")
            await until(partial(places.is_moving, "third"), SECONDS)
            await until(partial(_is_empty, places, "new"), SECONDS)
            await until(partial(places.serves, "third"), SECONDS)
        finally:
            await second.stop()


async def test_a_move_whose_new_place_does_not_come_up_keeps_the_old_server_fenced_says_why_and_can_be_taken_back(
    places: Places, running: OperatorProcess
) -> None:
    quota = {"metadata": {"name": "none", "namespace": places.namespaces["new"]}, "spec": {"hard": {"pods": "0"}}}
    await places.platform.cluster.create(RESOURCE_QUOTA, quota)
    async with places.never_without_a_server():
        await places.entry("new")

        async def says_why() -> bool:
            return "quota" in (await places.workload())["message"] and await places.is_moving("new")

        await until(says_why, SECONDS)
        await places.platform.cluster.delete(NETWORK_POLICY, places.server, places.namespaces["old"])
        await until(partial(_is_fenced, places, "old"), 5)

        await places.entry("old")
        await until(partial(places.serves, "old"), SECONDS)


async def test_a_suspension_in_the_middle_of_a_move_leaves_a_suspended_server_in_the_new_place(
    places: Places, running: OperatorProcess
) -> None:
    await places.installation("new")
    await until(partial(places.is_moving, "new"), SECONDS)
    await places.installation("new", suspend=True)

    async def is_suspended() -> bool:
        found = await places.deployment("new")
        said = (await places.workload())["reason"] == "Suspended"
        return said and found is not None and found["spec"]["replicas"] == 0 and await _is_empty(places, "old")

    await until(is_suspended, SECONDS)
    await places.installation("new")
    await until(partial(places.serves, "new"), SECONDS)


async def test_a_deletion_in_the_middle_of_a_move_cleans_both_places(places: Places, running: OperatorProcess) -> None:
    await places.installation("new")
    await until(partial(places.is_moving, "new"), SECONDS)
    await places.platform.cluster.delete(kind_resource(INSTALLATION), "time", places.platform.spaces.tenant)

    async def nothing_is_left() -> bool:
        return await _is_empty(places, "old") and await _is_empty(places, "new") and not await places.platform.children()

    await until(nothing_is_left, SECONDS)


async def test_a_right_that_ends_in_the_middle_of_a_move_takes_the_old_server_away_at_once(
    places: Places, running: OperatorProcess
) -> None:
    await places.installation("new")
    await until(partial(places.is_moving, "new"), SECONDS)
    closed = {
        "title": "X",
        "namespace": places.namespaces["old"],
        "egress": {"mode": "DenyAll"},
        "allowedNamespaces": {"names": ["others"]},
    }
    await places.platform.apply(ENVIRONMENT, places.environment("old"), closed)
    await until(partial(_is_empty, places, "old"), SECONDS)
    assert await places.called() == "new"

    tenant = places.platform.spaces.tenant
    await places.platform.cluster.patch(NAMESPACE, tenant, {"metadata": {"annotations": {names.TEAMS_GRANT: "others"}}})
    await until(partial(_is_empty, places, "new"), SECONDS)


async def _is_empty(places: Places, place: str) -> bool:
    return await places.children(place) == []


async def _is_fenced(places: Places, place: str) -> bool:
    return any(o["kind"] == "NetworkPolicy" for o in await places.children(place))
