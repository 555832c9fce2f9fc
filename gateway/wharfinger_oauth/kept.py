"""A value from elsewhere that is kept: fetched once for all who wait, used on while its source is down, asked for ever more rarely then.

Three states. Fresh: used, and past four fifths of its time fetched anew on the side. Stale: fetched anew first; while that fails it is used
on, for a day. Absent: who asks waits for the fetch that is under way, or hears at once that there is nothing, until the pause is over.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from wharfinger_cluster.backoff import delay
from wharfinger_oauth.unavailable import Unavailable

STALE: Final = 24 * 3600.0
"""Seconds for which a value is used on that cannot be fetched anew."""
PAUSE: Final = (1.0, 60.0)
"""Seconds after the first failure in a row, and at most."""
_SOFT: Final = 0.8
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Fetched(Generic[Value]):
    """A value, and for how many seconds it is fresh."""

    value: Value
    lifetime: float


class Kept(Generic[Value]):
    """One value; `fetch` raises nothing and ends by itself."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Fetched[Value] | Unavailable]],
        *,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[], float] = random.random,
    ) -> None:
        """Take `spread` for a number from 0 to 1, so that replicas do not ask together."""
        self._fetch, self._clock, self._spread = fetch, clock, spread
        self._value: Value | None = None
        self._fetched_at = self._lifetime = 0.0
        self._failures = 0
        self._failure = Unavailable("nothing was asked yet")
        self._again_at = 0.0
        self.asked_at = float("-inf")
        """By the clock: when the newest fetch began."""
        self._flight: asyncio.Task[None] | None = None

    async def get(self) -> Value | Unavailable:
        """Return the value."""
        age = self._clock() - self._fetched_at
        if self._value is None or age >= self._lifetime:
            await self._refresh()
            return self._current()
        if age >= self._lifetime * _SOFT and not self._is_pausing():
            self._take_off()
        return self._value

    async def renewed(self) -> Value | Unavailable:
        """Return the value after a fetch, or after the one that is under way; the old one where that fails."""
        await self._refresh()
        return self._current()

    @property
    def newest(self) -> Value | None:
        """The value that was fetched last, however long ago."""
        return self._value

    @property
    def failure(self) -> Unavailable | None:
        """Why the newest fetch failed, with the seconds until the next; None where it did not."""
        if not self._failures:
            return None
        return Unavailable(self._failure.message, max(1, round(self._again_at - self._clock())))

    @property
    def is_fetching(self) -> bool:
        """Whether a fetch is under way."""
        return self._flight is not None and not self._flight.done()

    def close(self) -> None:
        """End a fetch that is under way."""
        if self._flight:
            self._flight.cancel()

    def _current(self) -> Value | Unavailable:
        if self._value is not None and self._clock() - self._fetched_at < STALE:
            return self._value
        return self.failure or self._failure

    def _is_pausing(self) -> bool:
        return self._failures > 0 and self._clock() < self._again_at

    async def _refresh(self) -> None:
        if not self._is_pausing():
            # A caller that goes away leaves the fetch to the others.
            await asyncio.shield(self._take_off())

    def _take_off(self) -> asyncio.Task[None]:
        if self._flight is None or self._flight.done():
            self.asked_at = self._clock()
            self._flight = asyncio.create_task(self._fly())
        return self._flight

    async def _fly(self) -> None:
        found = await self._fetch()
        now = self._clock()
        if isinstance(found, Unavailable):
            self._failures += 1
            self._failure, self._again_at = found, now + delay(self._failures, *PAUSE, self._spread)
            return
        self._value, self._fetched_at, self._failures = found.value, now, 0
        self._lifetime = found.lifetime * (0.9 + self._spread() / 10)
