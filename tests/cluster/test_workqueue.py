"""The work queue, with a clock that only moves when told to."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventually import eventually
from manual_timers import ManualTimers
from wharfinger_cluster.backoff import delay
from wharfinger_cluster.errors import Unreachable
from wharfinger_cluster.workqueue import WorkQueue


@pytest.fixture
def timers() -> ManualTimers:
    return ManualTimers()


@pytest.fixture
def queue(timers: ManualTimers) -> WorkQueue[str]:
    return WorkQueue(timers)


async def test_keys_come_out_once_and_in_order(queue: WorkQueue[str]) -> None:
    for key in "abcab":
        queue.add(key)
    assert [await queue.get() for _ in range(len(queue))] == ["a", "b", "c"]


async def test_a_key_added_while_worked_on_waits_until_it_is_done(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert await queue.get() == "b"
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_get_waits_for_a_key(queue: WorkQueue[str]) -> None:
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.add("a")
    assert await waiting == "a"


async def test_of_several_delays_the_earliest_counts_and_only_once(queue: WorkQueue[str], timers: ManualTimers) -> None:
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    timers.advance(4.9)
    assert len(queue) == 0
    timers.advance(0.1)
    assert await queue.get() == "a"
    queue.done("a")
    timers.advance(100)
    assert len(queue) == 0


async def test_retries_wait_longer_each_time_until_forgotten(queue: WorkQueue[str], timers: ManualTimers) -> None:
    waits = [await wait_of_retry(queue, timers) for _ in range(14)]
    bounds = [min(300.0, 0.2 * 2**n) for n in range(14)]
    assert all(bound / 2 <= wait <= bound + 0.1 for wait, bound in zip(waits, bounds, strict=True)), waits
    queue.forget("a")
    assert await wait_of_retry(queue, timers) <= 0.3


async def wait_of_retry(queue: WorkQueue[str], timers: ManualTimers) -> float:
    queue.retry("a")
    before = timers.now
    while not len(queue):
        timers.advance(0.05)
    assert await queue.get() == "a"
    queue.done("a")
    return timers.now - before


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_never_longer_than_its_cap_nor_shorter_than_half_its_base(failures: int, luck: float) -> None:
    assert 0.1 <= delay(failures, 0.2, 300.0, lambda: luck) <= 300.0


async def test_the_age_is_that_of_the_oldest_key_waiting_or_worked_on(queue: WorkQueue[str], timers: ManualTimers) -> None:
    assert queue.age() == 0.0
    queue.add("a")
    timers.advance(3)
    queue.add("b")
    await queue.get()
    timers.advance(4)
    assert queue.age() == 7.0
    queue.done("a")
    assert queue.age() == 4.0


async def test_a_worker_that_succeeds_may_ask_to_be_called_again(queue: WorkQueue[str], timers: ManualTimers) -> None:
    worked: list[str] = []

    async def worker(key: str) -> float | None:
        worked.append(key)
        return 60.0 if len(worked) == 1 else None

    async with asyncio.TaskGroup() as group:
        group.create_task(queue.run(worker, 2))
        queue.add("a")
        await eventually(lambda: worked == ["a"])
        await eventually(lambda: timers.pending)
        timers.advance(60)
        await eventually(lambda: worked == ["a", "a"])
        queue.shut_down()


@pytest.mark.parametrize("error", [Unreachable("no answer"), RuntimeError("a fault")])
async def test_a_worker_that_fails_is_called_again_and_the_others_go_on(
    queue: WorkQueue[str], timers: ManualTimers, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    worked: list[str] = []

    async def worker(key: str) -> None:
        worked.append(key)
        if worked == ["a"]:
            raise error

    async with asyncio.TaskGroup() as group:
        group.create_task(queue.run(worker, 1))
        queue.add("a")
        queue.add("b")
        await eventually(lambda: worked == ["a", "b"])
        timers.advance(0.2)
        await eventually(lambda: worked == ["a", "b", "a"])
        queue.shut_down()
    assert str(error) in caplog.text


async def test_after_a_success_the_next_failure_is_tried_again_soon(queue: WorkQueue[str], timers: ManualTimers) -> None:
    fails = [True] * 6 + [False, True, False]
    worked = 0

    async def worker(key: str) -> None:
        nonlocal worked
        worked += 1
        if fails[worked - 1]:
            raise Unreachable("no answer")

    async with asyncio.TaskGroup() as group:
        group.create_task(queue.run(worker, 1))
        queue.add("a")
        while worked < 7:
            await eventually(lambda: timers.pending or worked == 7)
            timers.advance(300)
        queue.add("a")
        await eventually(lambda: worked == 8 and timers.pending)
        timers.advance(0.2)
        await eventually(lambda: worked == 9, 5)
        queue.shut_down()


async def test_no_key_is_worked_on_twice_at_a_time_and_at_most_so_many_at_all(queue: WorkQueue[str]) -> None:
    running: list[str] = []
    most = 0
    finished = 0

    async def worker(key: str) -> None:
        nonlocal most, finished
        assert key not in running
        running.append(key)
        most = max(most, len(running))
        for _ in range(3):
            queue.add(key) if finished < 100 else None
            await asyncio.sleep(0)
        running.remove(key)
        finished += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(queue.run(worker, 4))
        for key in "abcdefgh":
            queue.add(key)
        await eventually(lambda: finished >= 100 and not running and not len(queue))
        queue.shut_down()
    assert most == 4


async def test_shutting_down_lets_work_finish_and_drops_the_rest(queue: WorkQueue[str], timers: ManualTimers) -> None:
    started, finish = asyncio.Event(), asyncio.Event()
    worked: list[str] = []

    async def worker(key: str) -> None:
        started.set()
        await finish.wait()
        worked.append(key)

    async with asyncio.TaskGroup() as group:
        group.create_task(queue.run(worker, 1))
        queue.add("a")
        queue.add("b")
        queue.add_after("c", 1)
        await started.wait()
        queue.shut_down()
        queue.add("d")
        timers.advance(10)
        finish.set()
    assert worked == ["a"]
    assert await queue.get() is None


async def test_by_default_the_event_loop_keeps_time() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 0.01)
    async with asyncio.timeout(5):
        assert await queue.get() == "a"


async def test_everybody_else_gets_a_turn_between_keys_that_need_no_waiting(queue: WorkQueue[str]) -> None:
    worked: list[str] = []
    turns: list[int] = []

    async def worker(key: str) -> None:
        worked.append(key)
        if len(worked) == 5:
            queue.shut_down()

    async def other() -> None:
        while len(worked) < 5:
            turns.append(len(worked))
            await asyncio.sleep(0)

    for key in "abcde":
        queue.add(key)
    await asyncio.gather(queue.run(worker, 1), other())

    assert {1, 2, 3, 4} <= set(turns)
