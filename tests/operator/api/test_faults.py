"""An operator behind an API server that fails: nothing ends, nothing is deleted on stale knowledge, everything comes right."""

import asyncio
import json
import signal

import msgspec
import pytest

from faulty_platform import SECONDS, complete, of
from faulty_proxy import FaultyProxy, Which, lists, watches, writes
from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import LEASE, SERVICE
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION


def not_lease(which: Which) -> Which:
    return lambda request: "/leases" not in request.path and which(request)


async def test_what_happened_while_the_api_server_was_away_is_made_up_for(
    behind: Platform, proxy: FaultyProxy, running: OperatorProcess
) -> None:
    for name in ("stays", "goes"):
        await behind.install(name)
    await until(lambda: complete(behind, "before", "stays", "goes"), SECONDS)

    await proxy.refuse()
    await behind.cluster.delete(kind_resource(INSTALLATION), "goes", behind.spaces.tenant)
    await behind.cluster.delete(SERVICE, names.server_name(behind.spaces.tenant, "stays"), behind.spaces.servers)
    await behind.install("comes")
    # History is gone as well: what was deleted meanwhile shows in no watch.
    proxy.answer(410, watches, times=4)
    await proxy.accept()

    await until(lambda: complete(behind, "before", "stays", "comes"), SECONDS)
    assert running.process.returncode is None


async def test_watches_that_are_cut_again_and_again_lose_nothing(behind: Platform, proxy: FaultyProxy, running: OperatorProcess) -> None:
    made = []
    for number in range(6):
        made.append(f"time-{number}")
        await behind.install(made[-1])
        proxy.cut_watches()

    await until(lambda: complete(behind, "before", *made), SECONDS)
    assert running.process.returncode is None


@pytest.mark.parametrize("status", [409, 422, 429, 500, 503, 403])
async def test_a_storm_of_refusals_passes(status: int, behind: Platform, proxy: FaultyProxy, running: OperatorProcess) -> None:
    proxy.answer(status, not_lease(writes), times=12)
    for number in range(3):
        await behind.install(f"time-{number}")

    await until(lambda: complete(behind, "before", *(f"time-{number}" for number in range(3))), SECONDS)

    async def recovered() -> bool:
        reasons = {(await behind.ready(INSTALLATION, f"time-{number}"))["reason"] for number in range(3)}
        return not reasons & {"Invalid", "Forbidden", "Conflict"}

    await until(recovered, SECONDS)
    assert running.process.returncode is None


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (429, b""), (200, b"<html>portal</html>"), (200, b"{}")],
    ids=["500", "429", "a page", "an empty object"],
)
async def test_an_operator_that_starts_among_wrong_lists_waits_and_deletes_nothing(
    status: int, body: bytes, behind: Platform, proxy: FaultyProxy
) -> None:
    first = await behind.operator()
    await behind.install()
    await until(lambda: complete(behind, "time"), SECONDS)
    await first.stop()
    before = {child["metadata"]["uid"] for child in await behind.children()}

    proxy.answer(status, lists, times=8, body=body)
    second = await behind.operator()
    await until(second.leads, SECONDS)
    await behind.install("later")

    await until(lambda: complete(behind, "time", "later"), SECONDS)
    assert before <= {child["metadata"]["uid"] for child in await behind.children()}
    assert second.process.returncode is None
    await second.stop()


async def test_a_list_that_is_empty_by_mistake_deletes_nothing(behind: Platform, proxy: FaultyProxy) -> None:
    first = await behind.operator()
    await behind.install()
    await until(lambda: complete(behind, "time"), SECONDS)
    await first.stop()
    before = {child["metadata"]["uid"] for child in await behind.children()}

    empty = {"apiVersion": names.API_VERSION, "kind": "McpInstallationList", "metadata": {"resourceVersion": "1"}, "items": []}
    proxy.answer(200, of(INSTALLATION.plural, lists), times=2, body=msgspec.json.encode(empty))
    second = await behind.operator()
    await until(second.leads, SECONDS)
    await behind.install("later")

    await until(lambda: complete(behind, "time", "later"), SECONDS)
    assert before <= {child["metadata"]["uid"] for child in await behind.children()}
    await second.stop()


@pytest.mark.parametrize("plural", ["secrets", "networkpolicies", "deployments", "services", "mcpinstallations"])
async def test_an_operator_killed_while_it_writes_leaves_nothing_half_done(plural: str, behind: Platform, proxy: FaultyProxy) -> None:
    first = await behind.operator()
    await until(first.leads, SECONDS)
    proxy.hang(of(plural, writes))
    await behind.install()

    async def hangs() -> bool:
        return any(method != "GET" and f"/{plural}" in path for method, path in proxy.seen)

    await until(hangs, SECONDS)
    await first.stop(signal.SIGKILL)
    proxy.hang(lambda request: False)
    second = await behind.operator()

    await until(lambda: complete(behind, "time"), SECONDS)
    await second.stop()


@pytest.mark.requirement("OPS-7")
async def test_an_operator_whose_lease_was_taken_stops_and_leaves_the_work_to_the_other(
    platform: Platform, operator: OperatorProcess
) -> None:
    lease = await platform.cluster.get(LEASE, names.OPERATOR_LEASE, platform.spaces.system)
    taken = {**lease, "spec": {**lease["spec"], "holderIdentity": "somebody-else", "leaseDurationSeconds": 1}}

    async def is_taken() -> bool:
        fresh = await platform.cluster.get(LEASE, names.OPERATOR_LEASE, platform.spaces.system)
        taken["metadata"] = fresh["metadata"]
        await platform.cluster.patch(LEASE, names.OPERATOR_LEASE, {"spec": taken["spec"]}, platform.spaces.system)
        return operator.process.returncode is not None

    await until(is_taken, SECONDS)
    assert operator.process.returncode == 1
    other = await platform.operator()
    await platform.install()

    await until(lambda: complete(platform, "time"), SECONDS)
    await other.stop()


async def kept_running(platform: Platform, operator: OperatorProcess, seconds: float) -> OperatorProcess:
    """Do for so many seconds what a kubelet does, start what has ended, and return what runs then."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(end):
                await operator.process.wait()
        except TimeoutError:
            return operator
        operator = await platform.operator()


async def state(platform: Platform) -> dict[str, tuple[str, int]]:
    """Return uid and generation of all that installations caused, and the statuses: what no outage may change."""
    children = {
        f"{o['kind']} {o['metadata']['name']}": (o["metadata"]["uid"], o["metadata"].get("generation", 0))
        for o in await platform.children()
    }
    own = [await platform.get(INSTALLATION, "before"), await platform.get(ENVIRONMENT, f"env-{platform.mark}")]
    return children | {f"{o['kind']} status": (json.dumps(o["status"]), 0) for o in own if o}


@pytest.mark.requirement("OPS-7")
@pytest.mark.parametrize(("seconds", "survives"), [(5, True), (60, False)])
async def test_after_an_outage_everything_is_as_before_and_nothing_was_written(
    seconds: int, survives: bool, behind: Platform, proxy: FaultyProxy
) -> None:
    first = await behind.operator()
    await behind.install("before")
    await until(lambda: complete(behind, "before"), SECONDS)
    await first.settled()
    before, written = await state(behind), await first.writes()

    await proxy.refuse()
    second = await kept_running(behind, first, seconds)
    # Without its lease it cannot know whether another leads meanwhile, and ends.
    assert (second is first) is survives
    assert first.process.returncode == (None if survives else 1)
    await proxy.accept()

    await until(second.leads, SECONDS)
    await second.settled()
    assert await second.writes() == (written if survives else 0)
    assert await state(behind) == before
    await behind.looked_at_again("before")
    await second.settled()
    assert await second.writes() == (written if survives else 0) + 1
    await second.stop()
