"""Kubernetes Events (events.k8s.io/v1) about our objects: for people, best effort.

Invariants: recording never raises and never waits; the same (object, reason, note) is posted at most once in `QUIET` seconds; one object
gets at most `BURST` events at once and then one every `REFILL` seconds; queue and memory of the past are bounded. What is dropped is
counted. A note must not hold a secret: it is stored in the cluster as it is.
"""

import asyncio
import logging
import math
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import ClusterError
from wharfinger_cluster.resource import EVENT, Object

K = TypeVar("K")
V = TypeVar("V")
EventType = Literal["Normal", "Warning"]

_Said = tuple[str, str, str]
"""Uid, reason and note: what makes one event a repetition of another."""

QUIET = 600.0
BURST, REFILL = 10, 30.0
QUEUE_LIMIT, MEMORY_LIMIT = 256, 4096
NOTE_LIMIT = 1024
"""Bytes; validation of events.k8s.io/v1 refuses more."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Budget:
    """How many events one object may still have: a token bucket, as a value."""

    tokens: float
    at: float

    def spend(self, now: float) -> "Budget | None":
        """Return the budget after one more event, or None when there is none left."""
        tokens = min(float(BURST), self.tokens + (now - self.at) / REFILL)
        return Budget(tokens - 1, now) if tokens >= 1 else None


class EventRecorder:
    """Posts events in the background, while `run` runs.

    `controller` is a qualified name such as `wharfinger.dev/operator`, `instance` the pod's name.
    """

    def __init__(self, cluster: Cluster, controller: str, instance: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.dropped = 0
        """Events not posted, because of rate, a full queue or a failure; repetitions are not counted."""
        self._cluster = cluster
        self._controller, self._instance = controller, instance
        self._clock = clock
        self._queue: deque[tuple[_Said, Object]] = deque()
        self._wake = asyncio.Event()
        self._posted: OrderedDict[_Said, float] = OrderedDict()
        self._budgets: OrderedDict[str, Budget] = OrderedDict()

    def record(self, regarding: Object, event_type: EventType, reason: str, note: str, *, action: str = "Reconcile") -> None:
        """Say something about an object, which needs `apiVersion`, `kind` and `metadata`; `reason` is CamelCase."""
        now = self._clock()
        uid = str(regarding["metadata"].get("uid", ""))
        said = uid, reason, note
        if now - self._posted.get(said, -math.inf) < QUIET:
            return
        budget = self._budgets.get(uid, Budget(BURST, now)).spend(now)
        if budget is None or len(self._queue) >= QUEUE_LIMIT:
            self.dropped += 1
            return
        _remember(self._budgets, uid, budget)
        _remember(self._posted, said, now)
        self._queue.append((said, self._event(regarding, event_type, reason, note, action)))
        self._wake.set()

    async def run(self) -> None:
        """Post what was recorded, until cancelled."""
        while True:
            while self._queue:
                await self._post(*self._queue.popleft())
            self._wake.clear()
            await self._wake.wait()

    async def _post(self, said: _Said, event: Object) -> None:
        try:
            await self._cluster.create(EVENT, event)
        except ClusterError as error:
            self.dropped += 1
            self._posted.pop(said, None)
            _log.warning("an event was not posted: %s", error)

    def _event(self, regarding: Object, event_type: EventType, reason: str, note: str, action: str) -> Object:
        metadata = regarding["metadata"]
        # Events about cluster-scoped objects live in `default`, where kubectl and client-go expect them.
        namespace = metadata.get("namespace") or "default"
        reference = {
            "apiVersion": regarding["apiVersion"],
            "kind": regarding["kind"],
            "name": metadata["name"],
            "namespace": metadata.get("namespace", ""),
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        return {
            "metadata": {"name": f"{metadata['name'][:200]}.{secrets.token_hex(8)}", "namespace": namespace},
            "eventTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "action": action,
            "reason": reason,
            "note": note.encode()[:NOTE_LIMIT].decode(errors="ignore"),
            "type": event_type,
            "regarding": reference,
        }


def _remember(memory: OrderedDict[K, V], key: K, value: V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > MEMORY_LIMIT:
        memory.popitem(last=False)
