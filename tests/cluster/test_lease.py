"""Leader election between candidates on a real API server, with the times of the lease shortened."""

import asyncio
import time
from contextlib import suppress

import pytest

from eventually import eventually
from faulty_proxy import FaultyProxy, writes
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import LeaseLost
from wharfinger_cluster.lease import Lease, Terms, is_free, pause
from wharfinger_cluster.resource import LEASE, Object

pytestmark = pytest.mark.requirement("OPS-7")

SHORT = Terms(duration=3.0, renew=2.0, retry=0.1)


def candidate(cluster: Cluster, namespace: str, identity: str) -> Lease:
    return Lease(cluster, "operator", namespace, identity, terms=SHORT)


async def record(cluster: Cluster, namespace: str) -> Object:
    spec: Object = (await cluster.get(LEASE, "operator", namespace))["spec"]
    return spec


async def test_the_first_candidate_leads_and_the_record_is_that_of_client_go(cluster: Cluster, namespace: str) -> None:
    first = candidate(cluster, namespace, "first")
    assert not first.held
    await first.acquire()
    assert first.held
    spec = await record(cluster, namespace)
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("first", 3, 0)
    assert spec["acquireTime"] <= spec["renewTime"]


async def test_a_leader_that_renews_keeps_the_lease_from_others(cluster: Cluster, namespace: str) -> None:
    first, second = candidate(cluster, namespace, "first"), candidate(cluster, namespace, "second")
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2 * SHORT.duration):
            await second.acquire()
    assert first.held
    assert not second.held
    assert not holding.done()
    await stop(holding)


async def test_a_dead_leader_is_succeeded_after_the_duration_and_not_before(cluster: Cluster, namespace: str) -> None:
    first, second = candidate(cluster, namespace, "first"), candidate(cluster, namespace, "second")
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    competing = asyncio.create_task(second.acquire())
    before = await record(cluster, namespace)
    while (last := await record(cluster, namespace)) == before:
        assert not competing.done()
    await stop(holding)
    died = time.monotonic()

    async with asyncio.timeout(3 * SHORT.duration):
        await competing
    assert time.monotonic() - died >= SHORT.duration - 2 * SHORT.retry
    assert not first.held
    spec = await record(cluster, namespace)
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)
    assert spec["acquireTime"] > last["acquireTime"]


async def test_a_released_lease_is_taken_at_once(cluster: Cluster, namespace: str) -> None:
    first, second = candidate(cluster, namespace, "first"), candidate(cluster, namespace, "second")
    await first.acquire()
    competing = asyncio.create_task(second.acquire())
    await first.release()
    assert not first.held
    async with asyncio.timeout(SHORT.duration / 2):
        await competing


async def test_a_leader_whose_lease_was_stolen_stops(cluster: Cluster, namespace: str) -> None:
    first = candidate(cluster, namespace, "first")
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    await cluster.patch(LEASE, "operator", {"spec": {"holderIdentity": "thief"}}, namespace)
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(SHORT.renew):
            await holding
    assert not first.held
    await first.release()
    assert (await record(cluster, namespace))["holderIdentity"] == "thief"


async def test_a_leader_whose_lease_was_deleted_stops(cluster: Cluster, namespace: str) -> None:
    first = candidate(cluster, namespace, "first")
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    await cluster.delete(LEASE, "operator", namespace)
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(SHORT.renew):
            await holding


async def test_a_leader_survives_that_others_annotate_its_lease(cluster: Cluster, namespace: str) -> None:
    first = candidate(cluster, namespace, "first")
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    patched = await cluster.patch(LEASE, "operator", {"metadata": {"annotations": {"seen": "yes"}}}, namespace)
    while (await record(cluster, namespace))["renewTime"] == patched["spec"]["renewTime"]:
        assert not holding.done()
    assert first.held
    await stop(holding)


async def test_a_leader_that_cannot_renew_stops_before_others_may_start(
    cluster: Cluster, through: Cluster, namespace: str, proxy: FaultyProxy
) -> None:
    first, second = candidate(through, namespace, "first"), candidate(cluster, namespace, "second")
    await first.acquire()
    competing = asyncio.create_task(second.acquire())
    holding = asyncio.create_task(first.hold())
    await eventually(lambda: len(proxy.seen) > 3)
    proxy.hang(writes)
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(SHORT.duration):
            await holding
    assert not competing.done()
    async with asyncio.timeout(2 * SHORT.duration):
        await competing


async def test_a_short_outage_does_not_cost_the_lease(cluster: Cluster, through: Cluster, namespace: str, proxy: FaultyProxy) -> None:
    first = candidate(through, namespace, "first")
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    proxy.answer(503, writes, times=3)
    await eventually(lambda: len(proxy.seen) > 8)
    assert first.held
    assert not holding.done()
    await stop(holding)


async def test_a_candidate_waits_through_an_outage(through: Cluster, namespace: str, proxy: FaultyProxy) -> None:
    proxy.answer(500, times=2)
    await proxy.refuse()
    competing = asyncio.create_task(candidate(through, namespace, "first").acquire())
    await asyncio.sleep(0)
    await proxy.accept()
    async with asyncio.timeout(10):
        await competing


async def test_of_many_candidates_exactly_one_wins(cluster: Cluster, namespace: str) -> None:
    candidates = [candidate(cluster, namespace, f"c{n}") for n in range(8)]
    competing = [asyncio.create_task(one.acquire()) for one in candidates]
    await asyncio.wait(competing, return_when=asyncio.FIRST_COMPLETED)
    assert sum(one.held for one in candidates) == 1
    for task in competing:
        await stop(task)


async def test_releasing_never_raises(through: Cluster, namespace: str, proxy: FaultyProxy) -> None:
    first = candidate(through, namespace, "first")
    await first.release()
    await first.acquire()
    await proxy.refuse()
    await first.release()
    assert not first.held


@pytest.mark.parametrize(
    ("spec", "unchanged_for", "free"),
    [
        ({}, 0.0, True),
        ({"holderIdentity": ""}, 0.0, True),
        ({"holderIdentity": "us"}, 0.0, True),
        ({"holderIdentity": "another"}, 14.9, False),
        ({"holderIdentity": "another"}, 15.0, True),
        ({"holderIdentity": "another", "leaseDurationSeconds": 60}, 15.0, False),
        ({"holderIdentity": "another", "leaseDurationSeconds": 60}, 60.0, True),
        ({"holderIdentity": "another", "renewTime": "1970-01-01T00:00:00.000000Z", "leaseDurationSeconds": 15}, 1.0, False),
    ],
)
def test_a_lease_is_free_by_the_time_it_did_not_change_whatever_its_clock_says(spec: Object, unchanged_for: float, free: bool) -> None:
    assert is_free(spec, "us", unchanged_for, 15.0) is free


@pytest.mark.parametrize(
    ("spec", "unchanged_for", "seconds"),
    [
        ({"holderIdentity": "another", "leaseDurationSeconds": 13}, 1.0, 2.0),
        ({"holderIdentity": "another", "leaseDurationSeconds": 13}, 12.5, 0.5),
        ({"holderIdentity": "another", "leaseDurationSeconds": 13}, 13.0, 2.0),
        ({"holderIdentity": "another"}, 1.0, 2.0),
        ({}, 0.0, 2.0),
    ],
)
def test_a_candidate_looks_when_the_lease_ends_and_does_not_wait_for_its_turn(spec: Object, unchanged_for: float, seconds: float) -> None:
    assert pause(spec, unchanged_for, 2.0) == seconds


def test_a_new_leader_is_there_within_sixteen_seconds_and_the_old_one_is_silent_before() -> None:
    terms = Terms()
    assert terms.duration + 1.2 * terms.retry < 16.0
    assert terms.renew + 2 * terms.retry <= terms.duration


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
