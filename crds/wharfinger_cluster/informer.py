"""A local copy of a collection, kept true by listing once and watching from there on.

Invariants:
* What vanished while nobody watched is reported as deleted: each list replaces the copy, by difference. An object that was deleted and made
  again meanwhile is two changes.
* The copy is never emptied by a failure: only a complete list or a DELETED event removes an object.
* `run` ends by cancellation only. A failure is kept in `problem`, and tried again after 0.5 to 30 seconds.
* What a write returned may be taken in at once; nothing older overrides it, be it an event on its way or a list taken before. Where the
  object's end was told before the write was answered, it stays gone.
* The store is changed before `on_change` is told, and `on_change` is told in the order of the API server.
"""

import asyncio
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from wharfinger_cluster.backoff import delay
from wharfinger_cluster.client import PAGE, SILENCE, Cluster
from wharfinger_cluster.errors import ClusterError, Gone
from wharfinger_cluster.resource import EVERYTHING, Object, Resource, Scope
from wharfinger_cluster.watch import WatchEvent

Key = tuple[str, str]
"""Namespace and name; the namespace of a cluster-scoped object is empty."""
ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]
OnChange = Callable[[ChangeType, Object | None, Object | None], None]
"""Called with the change, the old object (None when added) and the new one (None when deleted)."""
Transform = Callable[[Object], Object]

RETRY_BASE, RETRY_CAP = 0.5, 30.0
ENDS_KEPT = 4096
"""Of objects, the newest: more than can end while one write is answered."""
HEALTHY_AFTER = 10.0
"""Seconds after which a watch that ended counts as a good one, although it delivered nothing."""
WATCH_SECONDS = (240, 480)
"""A watch lasts a random time, so that the watches of many processes do not end together."""

_log = logging.getLogger(__name__)


class Informer:
    """Keeps a copy of the objects of one resource within one scope. Objects in the copy are shared: never change them.

    `transform` may return a smaller object in an object's place, but must keep `metadata` `name`, `namespace`, `uid` and `resourceVersion`.
    """

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        scope: Scope = EVERYTHING,
        *,
        on_change: OnChange = lambda change, old, new: None,
        transform: Transform = lambda found: found,
    ) -> None:
        self.resource = resource
        self.scope = scope
        self.synced = asyncio.Event()
        """Set when the copy has been complete once; stays set."""
        self.problem: ClusterError | None = None
        """Why the copy is not being kept true at this time."""
        self.last_contact = float("-inf")
        """Monotonic time at which the API server last told us something about this collection."""
        self.page = PAGE
        """Objects a request when listing; fewer where objects are large."""
        self.silence = SILENCE
        """Seconds without a byte after which a watch is given up."""
        self._cluster = cluster
        self._on_change = on_change
        self._transform = transform
        self._store: dict[Key, Object] = {}
        self._version = ""
        self._heard = False
        self._written: dict[Key, int] = {}
        """Resource versions of what was taken in from writes and not yet seen in a list or an event."""
        self._ended: OrderedDict[Key, int] = OrderedDict()
        """At which resource version objects were seen to be gone, the newest last."""

    @property
    def store(self) -> Mapping[Key, Object]:
        """The copy, as a live view."""
        return MappingProxyType(self._store)

    def get(self, name: str, namespace: str = "") -> Object | None:
        """Return the copy of one object."""
        return self._store.get((namespace, name))

    def take(self, written: Object) -> None:
        """Take in what a write returned, so that the next look does not see the time before; `on_change` is not told."""
        key, version = _key(written), int(written["metadata"]["resourceVersion"])
        known = self._store.get(key)
        if version <= self._ended.get(key, 0):
            return
        if known is None or int(known["metadata"]["resourceVersion"]) < version:
            self._store[key] = self._transform(written)
            self._written[key] = version

    async def run(self) -> None:
        """Keep the copy true until cancelled."""
        failures = 0
        while True:
            self._heard, started = False, time.monotonic()
            try:
                if not self._version:
                    await self._replace()
                await self._follow()
            except ClusterError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - a copy that nobody keeps true any more would be worse, and nobody would see it
                _log.exception("the copy of %s cannot be kept true", self.resource)
                self._failed(ClusterError(f"watch {self.resource}: {type(error).__name__}"))
            healthy = self._heard or time.monotonic() - started >= HEALTHY_AFTER
            failures = 0 if healthy else failures + 1
            if self.problem or not healthy:
                await asyncio.sleep(delay(max(failures, 1), RETRY_BASE, RETRY_CAP))

    def _failed(self, error: ClusterError) -> None:
        if self.problem is None or self.problem.args != error.args:
            _log.warning("%s; trying again", error)
        self.problem = error
        if isinstance(error, Gone):
            self._version = ""

    async def _replace(self) -> None:
        seen: set[Key] = set()
        version = ""
        async for page in self._cluster.pages(self.resource, self.scope, limit=self.page):
            self.last_contact = time.monotonic()
            version = page.resource_version
            for item in page.items:
                seen.add(_key(item))
                if not self._is_older(_key(item), item["metadata"]["resourceVersion"]):
                    self._put(item)
        for key in self._store.keys() - seen:
            if self._written.get(key, 0) <= int(version):
                self._remove(key, version)
        self._written = {key: written for key, written in self._written.items() if written > int(version)}
        self._version = version
        self.synced.set()

    async def _follow(self) -> None:
        seconds = random.randint(*WATCH_SECONDS)  # noqa: S311 - spreads load, guards nothing
        watch = self._cluster.watch(self.resource, self.scope, resource_version=self._version, seconds=seconds, silence=self.silence)
        async with watch as events:
            self.last_contact, self.problem = time.monotonic(), None
            try:
                async for event in events:
                    self._heard, self.last_contact = True, time.monotonic()
                    self._take(event)
            finally:
                # Not even a bookmark: the version may lie in the future of an API server whose etcd was restored from a backup.
                # Such a watch is accepted and stays silent for good.
                if not self._heard and time.monotonic() - self.last_contact >= self.silence:
                    self._version = ""

    def _take(self, event: WatchEvent) -> None:
        if event.type != "BOOKMARK" and not self._is_older(event.key, event.version):
            self._written.pop(event.key, None)
            if event.type == "DELETED":
                self._remove(event.key, event.version)
            # Not even read, where a write of ours has told it before.
            elif not self._has(event.key, event.version):
                self._put(event.object)
        self._version = event.version

    def _is_older(self, key: Key, version: str) -> bool:
        written = self._written.get(key)
        return written is not None and int(version) < written

    def _has(self, key: Key, version: str) -> bool:
        found = self._store.get(key)
        return found is not None and bool(found["metadata"]["resourceVersion"] == version)

    def _put(self, found: Object) -> Key:
        key = _key(found)
        old = self._store.get(key)
        if old is not None and old["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]:
            return key
        if old is not None and old["metadata"]["uid"] != found["metadata"]["uid"]:
            self._remove(key, old["metadata"]["resourceVersion"])
            old = None
        new = self._transform(found)
        self._store[key] = new
        self._tell("MODIFIED" if old else "ADDED", old, new)
        return key

    def _remove(self, key: Key, version: str) -> None:
        self._ended[key] = int(version)
        self._ended.move_to_end(key)
        if len(self._ended) > ENDS_KEPT:
            self._ended.popitem(last=False)
        if (old := self._store.pop(key, None)) is not None:
            self._tell("DELETED", old, None)

    def _tell(self, change: ChangeType, old: Object | None, new: Object | None) -> None:
        try:
            self._on_change(change, old, new)
        except Exception:  # noqa: BLE001
            # One object that the callback cannot digest must not blind us to all others.
            _log.exception("the change of a %s was not digested", self.resource.kind)


def _key(found: Object) -> Key:
    metadata = found["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
