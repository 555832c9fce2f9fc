"""The work queue, whatever is done with it in whichever order."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from manual_timers import ManualTimers
from wharfinger_cluster.workqueue import WorkQueue

KEYS = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.sampled_from(["add", "retry", "forget", "done"]), KEYS),
    st.tuples(st.just("get"), st.none()),
    st.tuples(st.just("advance"), st.floats(0, 400)),
    st.tuples(st.just("later"), st.tuples(KEYS, st.floats(0, 400))),
)


@given(st.lists(STEPS, max_size=60))
def test_whatever_happens_every_added_key_is_handed_out_later_and_to_one_worker_at_a_time(steps: list[tuple[str, Any]]) -> None:
    asyncio.run(play(steps))


class Play:
    """A queue, and what its user may expect of it."""

    def __init__(self) -> None:
        self.timers = ManualTimers()
        self.queue: WorkQueue[str] = WorkQueue(self.timers)
        self.wanted: set[str] = set()
        self.working: set[str] = set()
        self.wishes = 0

    def wish(self, key: str) -> None:
        self.wanted.add(key)
        self.wishes += 1

    def done(self, key: str) -> None:
        if key in self.working:
            self.working.discard(key)
            self.queue.done(key)

    async def get(self) -> bool:
        asked = asyncio.create_task(self.queue.get())
        await asyncio.sleep(0)
        if not asked.done():
            asked.cancel()
            return False
        key = asked.result()
        assert key is not None
        assert key not in self.working
        self.working.add(key)
        self.wanted.discard(key)
        self.wishes -= 1
        return True

    async def step(self, step: str, value: Any) -> None:
        match step:
            case "add":
                self.queue.add(value)
                self.wish(value)
            case "retry":
                self.queue.retry(value)
                self.wish(value)
            case "later":
                self.queue.add_after(*value)
                self.wish(value[0])
            case "forget":
                self.queue.forget(value)
            case "advance":
                self.timers.advance(value)
            case "done":
                self.done(value)
            case "get":
                await self.get()


async def play(steps: list[tuple[str, Any]]) -> None:
    user = Play()
    for step, value in steps:
        await user.step(step, value)
    user.timers.advance(1000)
    while await user.get() or user.working:
        for key in tuple(user.working):
            user.done(key)
    assert not user.wanted
    assert user.wishes >= 0, "handed out more often than added"
    assert len(user.queue) == 0
