"""The grants in force: every McpGrant of the system namespace, read as it changes, so that one that is deleted counts no more within a moment."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.informer import ChangeType, Informer
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import Object, Scope
from wharfinger_crds.kinds import GRANT
from wharfinger_oauth.grant_record import GrantRecord, NoGrantError, read_grant

_RECORD: Final = "record"
_log = logging.getLogger(__name__)


class WatchedGrants:
    """The grants, as long as `run` is under way."""

    def __init__(
        self, cluster: Cluster, namespace: str, root_key: Callable[[], bytes | None], changed: Callable[[], None], ended: Callable[[], None]
    ) -> None:
        """Take what gives the root key, and what is called when any grant changes, and then when one ends."""
        self._cluster, self._namespace, self._root_key = cluster, namespace, root_key
        self._on_change, self._ended = changed, ended
        self.informer = Informer(cluster, kind_resource(GRANT), Scope(namespace), on_change=self._changed, transform=self._read)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.informer.store)

    def get(self, name: str) -> GrantRecord | None:
        """Return a grant; None where there is none that this platform made."""
        found = self.informer.get(name, self._namespace)
        record: GrantRecord | None = found[_RECORD] if found else None
        return record

    async def look_up(self, name: str) -> None:
        """Ask the API server for a grant that is not known yet. Raise ClusterError."""
        try:
            self.informer.take(await self._cluster.get(self.informer.resource, name, self._namespace))
        except NotFound:
            return

    def _read(self, found: Object) -> Object:
        metadata = {key: value for key, value in found["metadata"].items() if key in ("name", "namespace", "uid", "resourceVersion")}
        return {"metadata": metadata, _RECORD: self._record(found)}

    def _record(self, found: Object) -> GrantRecord | None:
        key = self._root_key()
        try:
            return read_grant(found, key) if key is not None else None
        except NoGrantError as problem:
            _log.warning("McpGrant %s does not count: %s", found["metadata"]["name"], problem)
            return None

    def _changed(self, _change: ChangeType, old: Object | None, new: Object | None) -> None:
        self._on_change()
        before: GrantRecord | None = old[_RECORD] if old else None
        after: GrantRecord | None = new[_RECORD] if new else None
        if before is not None and not before.revoked and (after is None or after.revoked):
            self._ended()
