"""The objects of our own kinds, as last seen: fed by kopf's events, corrected by a list every ten minutes.

Invariants: kopf reports no deletion that fell into a gap of its watch, so what a list does not show is gone; a list taken
before an event never overrides it (resource versions decide); an object that cannot be read is left out and said, once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import ClusterError
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import Scope
from wharfinger_crds.base import Object
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import INSTALLATION, Kind
from wharfinger_operator.installation_index import InstallationIndex

ObjectKey = tuple[str, str]
OnChange = Callable[[Kind, ObjectKey, Object | None, Object | None, bool], None]
"""Called with the old object, the new one, and whether it was this program that wrote it."""
RESYNC: Final = 600.0
"""Seconds between lists."""

_log = logging.getLogger(__name__)


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

    def all(self, kind: Kind) -> Mapping[ObjectKey, Any]:
        """Return the objects of a kind."""
        return self._store[kind.kind]

    def get(self, kind: Kind, name: str, namespace: str = "") -> Any:
        """Return one object, or None."""
        return self._store[kind.kind].get((namespace, name))

    def take(self, kind: Kind, event: str | None, manifest: Mapping[str, Any]) -> None:
        """Take in one event: its type (None for what was there before) and the object."""
        meta = manifest["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        scope = self._scopes[kind]
        if scope.namespace is not None and key[0] != scope.namespace:
            return
        self._put(kind, key, None if event == "DELETED" else self._read(kind, key, manifest), int(meta.get("resourceVersion", "0")))

    def took(self, kind: Kind, manifest: Mapping[str, Any]) -> None:
        """Take in what a write of ours returned: the event of it may come after the next look at this object."""
        meta = manifest["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        self._put(kind, key, self._read(kind, key, manifest), int(meta["resourceVersion"]), ours=True)

    async def load(self) -> None:
        """List every kind and replace the copy by difference. Raises ClusterError."""
        for kind, scope in self._scopes.items():
            before = {key: int(found.metadata.resource_version or 0) for key, found in self._store[kind.kind].items()}
            seen: set[ObjectKey] = set()
            async for page in self._cluster.pages(kind_resource(kind), scope):
                for manifest in page.items:
                    seen.add((manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]))
                    self.take(kind, None, manifest)
            for key in before.keys() - seen:
                now = self._store[kind.kind].get(key)
                if now is not None and int(now.metadata.resource_version or 0) == before[key]:
                    self._put(kind, key, None, before[key])

    async def keep(self) -> None:
        """List again now and then, until cancelled."""
        while True:
            await asyncio.sleep(RESYNC * random.uniform(0.9, 1.1))  # noqa: S311 - spreads load, guards nothing
            try:
                await self.load()
            except ClusterError as error:
                _log.warning("listing our objects failed, next time then: %s", error)

    def _read(self, kind: Kind, key: ObjectKey, manifest: Mapping[str, Any]) -> Object | None:
        try:
            found = kind.model.parse(manifest)
        except ValidationError as error:
            if (kind.kind, key) not in self._unreadable:
                paths = ", ".join(".".join(str(part) for part in e["loc"]) for e in error.errors(include_input=False, include_url=False))
                _log.error("%s %s/%s cannot be read and is left out: %s", kind.kind, *key, paths)
            self._unreadable.add((kind.kind, key))
            return None
        self._unreadable.discard((kind.kind, key))
        return found

    def _put(self, kind: Kind, key: ObjectKey, new: Object | None, version: int, *, ours: bool = False) -> None:
        store = self._store[kind.kind]
        old = store.get(key)
        known = int(old.metadata.resource_version or 0) if old is not None else 0
        if known > version or (known == version and new is not None):
            return
        if new is None:
            store.pop(key, None)
        else:
            store[key] = new
        if kind is INSTALLATION:
            self.index.take(*(found if isinstance(found, Installation) else None for found in (old, new)))
        if old is not None or new is not None:
            self._on_change(kind, key, old, new, ours)
