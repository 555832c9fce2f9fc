"""Equal states give no write: every builder, applied twice, and a restart over many installations."""

import copy
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from faulty_proxy import FaultyProxy
from golden import cases, manifests
from manifest_world import answered, installation_world
from operator_platform import Platform, until
from operator_process import OperatorProcess
from provider_crds import CILIUM, served
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.resource import CILIUM_NETWORK_POLICY, SECRET, SERVICE
from wharfinger_crds import names
from wharfinger_crds.kinds import INSTALLATION, REGISTRY_ENTRY
from wharfinger_operator.admission import Admission
from wharfinger_operator.diff import Changes, diff, stamped
from wharfinger_operator.execute import RESOURCES, execute
from wharfinger_operator.plan.installation import plan_installation

PLANS = [
    case
    for case in cases(str(Path(__file__).parents[1] / "plan/test_plan.py"))
    if plan_installation(answered(installation_world(manifests(case)))).desired
]


def desired(case: Path, namespace: str) -> tuple[dict[str, Any], ...]:
    found = copy.deepcopy(plan_installation(answered(installation_world(manifests(case)))).desired or ())
    for manifest in found:
        manifest["metadata"]["namespace"] = namespace
    return found


@pytest.fixture
async def served_here() -> AsyncIterator[AsyncExitStack]:
    """What is served for one test."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.mark.requirement("ORC-9")
@pytest.mark.parametrize("case", PLANS, ids=lambda case: case.name.removesuffix(".in.yaml"))
async def test_what_was_applied_is_settled_and_applied_again_stays_at_its_version(
    case: Path, cluster: Cluster, namespace: str, served_here: AsyncExitStack
) -> None:
    wanted = desired(case, namespace)
    if any(manifest["kind"] == CILIUM_NETWORK_POLICY.kind for manifest in wanted):
        await served_here.enter_async_context(served(cluster, CILIUM[-1]))

    assert await execute(cluster, diff(wanted, []), lambda _: False, Admission()) is None

    live = [await cluster.get(RESOURCES[m["kind"]], m["metadata"]["name"], namespace) for m in wanted]
    assert diff(wanted, live) == Changes()
    for manifest, found in zip(wanted, live, strict=True):
        again = await cluster.apply(RESOURCES[manifest["kind"]], stamped(manifest))
        # What a controller writes meanwhile is not ours.
        assert again["metadata"].get("generation") == found["metadata"].get("generation")
        if manifest["kind"] != "Deployment":
            assert again["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]


@pytest.mark.requirement("ORC-9")
async def test_a_restart_over_fifty_installations_of_all_sorts_writes_nothing(
    platform: Platform, behind: Platform, proxy: FaultyProxy
) -> None:
    first = await platform.operator()
    await until(first.leads, 60)
    await platform.install("stdio-0")
    remote = {
        "title": "X",
        "type": "Remote",
        "remote": {"url": "https://mcp.invalid/mcp"},
        "environmentRef": {"name": f"env-{platform.mark}"},
    }
    fields = [{"name": "token", "type": "String", "secret": True, "required": True}]
    secret = {**remote, "fields": fields, "auth": {"type": "Static", "static": {"value": "${fields.token}"}}}
    http = {"image": "ghcr.io/acme/x:1", "transport": "StreamableHTTP", "http": {"port": 9000}}
    hosted = {"title": "X", "type": "SelfHosted", "selfHosted": http, "environmentRef": {"name": f"env-{platform.mark}"}}
    entries: dict[str, dict[str, Any]] = {"remote": remote, "secret": secret, "http": hosted}
    metadata = {"name": "token", "namespace": platform.spaces.tenant, "labels": {names.USABLE: "true"}}
    await platform.cluster.create(SECRET, {"metadata": metadata, "stringData": {"token": "planted"}})
    source = {"field": "token", "secretKeyRef": {"name": "token", "key": "token"}}
    for sort, spec in entries.items():
        await platform.apply(REGISTRY_ENTRY, f"{sort}-{platform.mark}", spec)
        for number in range(12):
            named = {"entryRef": {"name": f"{sort}-{platform.mark}"}, "owner": {"team": "engineering"}, "suspend": number % 3 == 0}
            sources = {"valuesFrom": [source]} if sort == "secret" and number % 2 else {}
            await platform.apply(INSTALLATION, f"{sort}-{number}", {**named, **sources})
    for number in range(1, 14):
        await platform.install(f"stdio-{number}")

    async def is_quiet() -> bool:
        before = await first.writes()
        reported = [(await platform.ready(INSTALLATION, f"{sort}-{n}")) for sort in entries for n in range(12)]
        # A remote server that cannot be asked is reported after three attempts.
        return all(c.get("reason") not in {None, "Waiting"} for c in reported) and await _unchanged(first, before)

    await until(is_quiet, 90)
    await first.stop()

    second = await behind.operator()
    await until(second.leads, 60)
    # It has looked at everything when it repairs what is changed now.
    server = names.server_name(platform.spaces.tenant, "stdio-13")
    await platform.cluster.delete(SERVICE, server, platform.spaces.servers)

    async def is_back() -> bool:
        return len([o for o in await platform.children() if o["kind"] == "Service"]) == 26

    await until(is_back, 60)
    await second.settled()
    # What passed on the way to the API server, whichever part of the program sent it.
    written = [f"{method} {path.partition('?')[0]}" for method, path, _ in proxy.answered if method != "GET" and "/leases" not in path]
    assert written == [f"PATCH /api/v1/namespaces/{platform.spaces.servers}/services/{server}"]
    await second.stop()


async def _unchanged(operator: OperatorProcess, writes: int) -> bool:
    """Tell whether an operator has written nothing more for two seconds."""
    try:
        await until(partial(_more_than, operator, writes), 2)
    except TimeoutError:
        return True
    return False


async def _more_than(operator: OperatorProcess, writes: int) -> bool:
    return await operator.writes() > writes
