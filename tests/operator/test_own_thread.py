"""Work on a thread of its own: how it ends, and what it sees."""

import asyncio
import threading
import time

import pytest

from wharfinger_operator.own_thread import GRACE, on_own_thread


async def test_it_sees_no_task_but_its_own() -> None:
    seen: list[int] = []

    async def look() -> None:
        assert threading.current_thread() is not threading.main_thread()
        seen.append(len(asyncio.all_tasks()))

    await on_own_thread(look, "test")

    # The work, and who waits for it.
    assert seen == [2]


async def test_what_it_raises_is_raised_where_it_is_awaited() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await on_own_thread(fail, "test")


async def test_cancelled_it_is_cancelled_there_and_waited_for() -> None:
    begun, cleaned = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            cleaned.set()

    task = asyncio.create_task(on_own_thread(work, "test"))
    await asyncio.to_thread(begun.wait)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


async def test_work_that_does_not_end_is_left_alone() -> None:
    begun, release = threading.Event(), threading.Event()

    async def stubborn() -> None:
        begun.set()
        release.wait()

    task = asyncio.create_task(on_own_thread(stubborn, "test"))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    asked = time.monotonic()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - asked >= GRACE
    release.set()
