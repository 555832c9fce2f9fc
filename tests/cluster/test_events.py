"""Events as `kubectl describe` shows them, recorded without ever disturbing the recorder's caller."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from eventually import eventually
from faulty_proxy import FaultyProxy
from wharfinger_cluster import events
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.events import BURST, MEMORY_LIMIT, QUEUE_LIMIT, QUIET, REFILL, EventRecorder
from wharfinger_cluster.resource import CONFIG_MAP, EVENT, NAMESPACE, Object, Scope


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def posting(recorder: EventRecorder) -> AsyncIterator[None]:
    task = asyncio.create_task(recorder.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(through: Cluster, clock: Clock) -> EventRecorder:
    return EventRecorder(through, "wharfinger.dev/operator", "operator-0", clock)


@pytest.fixture
async def subject(cluster: Cluster, namespace: str) -> Object:
    return await cluster.create(CONFIG_MAP, {"metadata": {"name": "subject", "namespace": namespace}})


async def notes(cluster: Cluster, namespace: str, count: int) -> list[str]:
    scope = Scope(namespace, fields="reportingController=wharfinger.dev/operator")
    async with asyncio.timeout(10):
        while len(found := await cluster.list(EVENT, scope)) < count:
            pass
    return sorted(event["note"] for event in found)


async def test_an_event_names_its_object_and_its_reporter(
    cluster: Cluster, namespace: str, recorder: EventRecorder, subject: Object
) -> None:
    async with posting(recorder):
        recorder.record(subject, "Warning", "ImagePullFailed", "no such image: ümlaut " + "é" * 2000)
        assert len(await notes(cluster, namespace, 1)) == 1
    (event,) = await cluster.list(EVENT, Scope(namespace))
    assert event["regarding"]["uid"] == subject["metadata"]["uid"]
    assert (event["type"], event["reason"], event["reportingInstance"]) == ("Warning", "ImagePullFailed", "operator-0")
    assert event["note"].startswith("no such image: ümlaut é")
    assert len(event["note"].encode()) <= 1024


async def test_an_event_about_a_cluster_scoped_object_lives_in_default(cluster: Cluster, namespace: str, recorder: EventRecorder) -> None:
    subject = await cluster.get(NAMESPACE, namespace)
    async with posting(recorder):
        recorder.record(subject, "Normal", "Accepted", f"about {namespace}")
        mine = Scope("default", fields=f"regarding.name={namespace}")
        async with asyncio.timeout(10):
            while not (found := await cluster.list(EVENT, mine)):
                pass
    assert found[0]["note"] == f"about {namespace}"


async def test_a_repetition_is_posted_once_until_it_was_quiet(
    cluster: Cluster, namespace: str, recorder: EventRecorder, subject: Object, clock: Clock
) -> None:
    async with posting(recorder):
        for _ in range(50):
            recorder.record(subject, "Normal", "Started", "same")
        recorder.record(subject, "Normal", "Started", "other")
        assert await notes(cluster, namespace, 2) == ["other", "same"]
        clock.now += QUIET
        recorder.record(subject, "Normal", "Started", "same")
        assert await notes(cluster, namespace, 3) == ["other", "same", "same"]
    assert recorder.dropped == 0


async def test_a_noisy_object_is_slowed_down_and_the_others_are_not(
    cluster: Cluster, namespace: str, recorder: EventRecorder, subject: Object, clock: Clock
) -> None:
    other = {**subject, "metadata": {**subject["metadata"], "uid": "00000000-0000-0000-0000-000000000000"}}
    for n in range(BURST + 5):
        recorder.record(subject, "Normal", "Noise", f"noise {n:02}")
    recorder.record(other, "Normal", "Quiet", "quiet")
    assert recorder.dropped == 5
    clock.now += REFILL
    recorder.record(subject, "Normal", "Noise", "noise later")
    recorder.record(subject, "Normal", "Noise", "noise too early")
    assert recorder.dropped == 6
    async with posting(recorder):
        found = await notes(cluster, namespace, BURST + 2)
    assert found == [*(f"noise {n:02}" for n in range(BURST)), "noise later", "quiet"]


async def test_a_failure_to_post_is_counted_and_does_not_silence_the_next(
    cluster: Cluster, namespace: str, recorder: EventRecorder, subject: Object, proxy: FaultyProxy
) -> None:
    async with posting(recorder):
        proxy.answer(503)
        recorder.record(subject, "Normal", "Started", "same")
        await eventually(lambda: recorder.dropped == 1)
        recorder.record(subject, "Normal", "", "an empty reason is invalid")
        await eventually(lambda: recorder.dropped == 2)
        recorder.record(subject, "Normal", "Started", "same")
        assert await notes(cluster, namespace, 1) == ["same"]


async def test_memory_is_bounded(recorder: EventRecorder, subject: Object) -> None:
    for n in range(MEMORY_LIMIT + 100):
        one = {**subject, "metadata": {**subject["metadata"], "uid": str(n)}}
        recorder.record(one, "Normal", "Started", "note")
    assert recorder.dropped == MEMORY_LIMIT + 100 - QUEUE_LIMIT

    memory: OrderedDict[int, int] = OrderedDict()
    for n in range(MEMORY_LIMIT + 100):
        events._remember(memory, n, n)
    assert (len(memory), next(iter(memory))) == (MEMORY_LIMIT, 100)
