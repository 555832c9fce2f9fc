"""The objects of our own kinds, as last seen: fed by kopf's events, corrected by lists.

Invariants: kopf reports no deletion that fell into a gap of its watch, so a kind is listed whenever kopf has listed it: what
that list does not show is gone. A list taken before an event never overrides it (resource versions decide); an object that
cannot be read is left out and said, once.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import Scope
from wharfinger_cluster.workqueue import WorkQueue
from wharfinger_crds.base import Object, misfits
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import INSTALLATION, Kind
from wharfinger_operator.installation_index import InstallationIndex

ObjectKey = tuple[str, str]
OnChange = Callable[[Kind, ObjectKey, Object | None, Object | None, bool], None]
"""Called with the old object, the new one, and whether it was this program that wrote it."""
PAGE: Final = 100
"""Objects a request when listing: what a page takes while it is read stays with the process."""
RESYNC: Final = 600.0
"""Seconds after which a kind is listed in any case."""

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Gone:
    """What was deleted while a read was under way, and at which version: its answer may be from before."""

    at: dict[ObjectKey, int] = field(default_factory=dict)

    def is_older(self, manifest: Mapping[str, Any]) -> bool:
        """Tell whether an object of the answer is one that was deleted meanwhile."""
        return _version(manifest) <= self.at.get(_key(manifest), 0)


class OwnObjects:
    """A copy of our objects, by kind, namespace and name."""

    def __init__(self, cluster: Cluster, kinds: Mapping[Kind, Scope], on_change: OnChange) -> None:
        self._cluster = cluster
        self._scopes = kinds
        self._on_change = on_change
        self._store: dict[str, dict[ObjectKey, Object]] = {kind.kind: {} for kind in kinds}
        self.index = InstallationIndex()
        """The installations, by what they name."""
        self._unreadable: set[tuple[str, ObjectKey]] = set()
        self._kinds = {kind.kind: kind for kind in kinds}
        self._doubtful: WorkQueue[str] = WorkQueue()
        self._reads: dict[str, list[_Gone]] = {kind.kind: [] for kind in kinds}
        """What was deleted while each read of a kind was under way."""

    def all(self, kind: Kind) -> Mapping[ObjectKey, Any]:
        """Return the objects of a kind."""
        return self._store[kind.kind]

    def get(self, kind: Kind, name: str, namespace: str = "") -> Any:
        """Return one object, or None."""
        return self._store[kind.kind].get((namespace, name))

    def knows(self, kind: Kind, key: ObjectKey, version: int) -> bool:
        """Tell whether an object is known at a version or at a newer one; to be asked from any thread."""
        return self._known(kind, key) >= version

    def take(self, kind: Kind, event: str | None, manifest: Mapping[str, Any]) -> None:
        """Take in one event: its type (None for what was there before) and the object."""
        try:
            key, version = _key(manifest), _version(manifest)
        except (KeyError, TypeError, ValueError):
            _log.error("an event of a %s without name or version is left out", kind.kind)
            return
        if self._scopes[kind].namespace in {None, key[0]}:
            if event == "DELETED":
                for gone in self._reads[kind.kind]:
                    gone.at[key] = version
            self._put(kind, key, version, None if event == "DELETED" else manifest)

    def took(self, kind: Kind, manifest: Mapping[str, Any]) -> None:
        """Take in what a write of ours returned: the event of it may come after the next look at this object.

        The deletion of the object may have been told before the answer to the write: what is gone stays so.
        """
        if (key := _key(manifest)) in self._store[kind.kind]:
            self._put(kind, key, _version(manifest), manifest, ours=True)

    def doubt(self, kind: Kind) -> None:
        """Have a kind listed: what vanished may not have been reported."""
        self._doubtful.add(kind.kind)

    async def load(self) -> None:
        """List every kind and replace the copy by difference. Raises ClusterError."""
        for kind in self._scopes:
            await self._list(kind)

    async def keep(self) -> None:
        """List what is doubtful, until cancelled; again where listing fails."""
        await self._doubtful.run(self._dispel, 1)

    async def _dispel(self, name: str) -> float:
        await self._list(self._kinds[name])
        return RESYNC * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, guards nothing

    async def look_up(self, kind: Kind, name: str, namespace: str) -> bool:
        """Take in one object as the API server has it; False: it is not there. Raises ClusterError."""
        with self._reading(kind) as gone:
            try:
                found = await self._cluster.get(kind_resource(kind), name, namespace)
            except NotFound:
                return False
            if gone.is_older(found):
                return False
            self.take(kind, None, found)
        return True

    @contextmanager
    def _reading(self, kind: Kind) -> Iterator[_Gone]:
        gone = _Gone()
        self._reads[kind.kind].append(gone)
        try:
            yield gone
        finally:
            self._reads[kind.kind].remove(gone)

    async def _list(self, kind: Kind) -> None:
        with self._reading(kind) as gone:
            await self._replace(kind, gone)

    async def _replace(self, kind: Kind, gone: _Gone) -> None:
        before = {key: self._known(kind, key) for key in self._store[kind.kind]}
        seen: set[ObjectKey] = set()
        async for page in self._cluster.pages(kind_resource(kind), self._scopes[kind], limit=PAGE):
            for manifest in page.items:
                seen.add(_key(manifest))
                if not gone.is_older(manifest):
                    self.take(kind, None, manifest)
        for key in before.keys() - seen:
            if self._known(kind, key) == before[key]:
                self._put(kind, key, before[key], None)

    def _known(self, kind: Kind, key: ObjectKey) -> int:
        """Return the version of the copy; 0 where there is none."""
        found = self._store[kind.kind].get(key)
        return int(found.metadata.resource_version or 0) if found is not None else 0

    def _read(self, kind: Kind, key: ObjectKey, manifest: Mapping[str, Any]) -> Object | None:
        try:
            found = kind.model.parse(manifest)
        except ValidationError as error:
            if (kind.kind, key) not in self._unreadable:
                _log.error("%s %s/%s cannot be read and is left out: %s", kind.kind, *key, misfits(error))
            self._unreadable.add((kind.kind, key))
            return None
        self._unreadable.discard((kind.kind, key))
        return found

    def _put(self, kind: Kind, key: ObjectKey, version: int, manifest: Mapping[str, Any] | None, *, ours: bool = False) -> None:
        known = self._known(kind, key)
        # Before it is read: reading is what costs, and most events tell what a write of ours or a list told before.
        if known > version or (known == version and manifest is not None):
            return
        store = self._store[kind.kind]
        old, new = store.get(key), self._read(kind, key, manifest) if manifest is not None else None
        if new is None:
            store.pop(key, None)
        else:
            store[key] = new
        if kind is INSTALLATION:
            self.index.take(*(found if isinstance(found, Installation) else None for found in (old, new)))
        if old is not None or new is not None:
            self._on_change(kind, key, old, new, ours)


def _key(manifest: Mapping[str, Any]) -> ObjectKey:
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _version(manifest: Mapping[str, Any]) -> int:
    return int(manifest["metadata"].get("resourceVersion", "0"))
