"""A queue of keys to reconcile, with the guarantees of client-go's work queue.

Invariants:
* A key waits at most once, however often it is added.
* A key is never worked on twice at the same time; added meanwhile, it waits again as soon as it is done.
* A key that fails is tried again after 0.2 s, doubling to 300 s, with jitter; one success forgets the failures.
* Between two keys, everybody else gets a turn.
* Memory is bounded by the number of different keys.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar

from wharfinger_cluster.backoff import delay
from wharfinger_cluster.errors import ClusterError

K = TypeVar("K", bound=Hashable)
Worker = Callable[[K], Awaitable[float | None]]
"""Works on one key. Returns seconds after which to look at it again, or None for when something changes; an exception means: try again."""

RETRY_BASE, RETRY_CAP = 0.2, 300.0

_log = logging.getLogger(__name__)


class Timer(Protocol):
    """A pending callback."""

    def cancel(self) -> None:
        """Forget the callback."""


class Timers(Protocol):
    """Time and its passing; the event loop is one, tests bring their own."""

    def time(self) -> float:
        """Return the monotonic time in seconds."""

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call `callback(*args)` at that time."""


class WorkQueue(Generic[K]):
    """Hands out keys, first come first served; to be used within one event loop.

    `run` does everything for a worker function. Without it, each key from `get` must be given back with `done`.
    """

    def __init__(self, timers: Timers | None = None) -> None:
        self._timers = timers or asyncio.get_running_loop()
        self._waiting: OrderedDict[K, float] = OrderedDict()
        self._processing: dict[K, float] = {}
        self._again: set[K] = set()
        self._later: dict[K, tuple[float, Timer]] = {}
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """Return how many keys wait to be worked on, those with a time in the future not counted."""
        return len(self._waiting) + len(self._again)

    def age(self) -> float:
        """Return seconds since the oldest key that is waiting or being worked on was added; 0 when idle. For probes and metrics."""
        added = [*self._processing.values(), *list(self._waiting.values())[:1]]
        return self._timers.time() - min(added) if added else 0.0

    def add(self, key: K) -> None:
        """Let the key be worked on as soon as possible."""
        if self._closed:
            return
        if key in self._processing:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = self._timers.time()
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Add the key later; of several times asked for, the earliest counts."""
        if self._closed:
            return
        due = self._timers.time() + seconds
        if key in self._later:
            earlier, timer = self._later[key]
            if earlier <= due:
                return
            timer.cancel()
        self._later[key] = due, self._timers.call_at(due, self._due, key)

    def retry(self, key: K) -> None:
        """Add the key after a time that grows with each retry since `forget`."""
        self._failures[key] = self._failures.get(key, 0) + 1
        self.add_after(key, delay(self._failures[key], RETRY_BASE, RETRY_CAP))

    def forget(self, key: K) -> None:
        """Start the key's retries from the shortest time again."""
        self._failures.pop(key, None)

    async def get(self) -> K | None:
        """Wait for a key; None when the queue is shut down."""
        while not self._waiting and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        if self._closed:
            return None
        key, added = self._waiting.popitem(last=False)
        self._processing[key] = added
        return key

    def done(self, key: K) -> None:
        """Give back a key from `get`."""
        del self._processing[key]
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def shut_down(self) -> None:
        """Drop what waits and take no more keys; `run` returns when the keys being worked on are done."""
        self._closed = True
        for _, timer in self._later.values():
            timer.cancel()
        self._later.clear()
        self._waiting.clear()
        self._again.clear()
        self._wake.set()

    async def run(self, worker: Worker[K], concurrency: int) -> None:
        """Let `concurrency` tasks work on keys until the queue is shut down."""
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._work(worker))

    async def _work(self, worker: Worker[K]) -> None:
        while (key := await self.get()) is not None:
            try:
                again = await worker(key)
            except ClusterError as error:
                _log.warning("%s: %s; trying again", key, error)
                self.retry(key)
            except Exception:  # noqa: BLE001 - one key that cannot be worked on must not stop all others
                _log.exception("%s: working on it failed; trying again", key)
                self.retry(key)
            else:
                self.forget(key)
                if again is not None:
                    self.add_after(key, again)
            finally:
                self.done(key)
            # Who works on many keys without ever having to wait would hold up everybody else: a lease is lost within seconds.
            await asyncio.sleep(0)

    def _due(self, key: K) -> None:
        del self._later[key]
        self.add(key)
