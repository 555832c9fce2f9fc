"""Taking away McpGrants that nothing can come of any more, and what was kept for them."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Conflict, NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import SECRET, Object, Scope
from wharfinger_crds import names
from wharfinger_crds.kinds import GRANT
from wharfinger_crds.moment import seconds_of

KEPT: Final = 3_600.0
"""Seconds that a grant stays after its end, so that what it was made from cannot be used again."""
SESSION: Final = 12 * 3_600.0
"""Seconds after a login in which grants can still be given by it."""
AT_ONCE: Final = 500
"""Deletions of one sweep."""
_log = logging.getLogger(__name__)


async def sweep_grants(cluster: Cluster, namespace: str, now: float, idle: float) -> None:
    """Delete grants that have expired, were revoked, or were not refreshed for `idle` seconds. Raises ClusterError."""
    ended = 0
    async for page in cluster.pages(kind_resource(GRANT), Scope(namespace)):
        for found in page.items:
            if ended < AT_ONCE and has_ended(found, now, idle):
                ended += await _delete(cluster, found)
    if ended:
        _log.info("%d grants had ended and are deleted", ended)


def has_ended(found: Object, now: float, idle: float) -> bool:
    """Tell whether nothing can come of a grant any more, at `now`, in seconds since the epoch."""
    spec, status, created = found.get("spec", {}), found.get("status", {}), found["metadata"]["creationTimestamp"]
    if spec.get("revoked"):
        return _seconds(created) + KEPT < now
    refreshed = _seconds(status.get("refreshedAt") or created)
    return _seconds(spec.get("expiresAt")) + KEPT < now or refreshed + idle + KEPT < now


async def sweep_logins(cluster: Cluster, namespace: str, now: float, lifetime: float) -> None:
    """Delete what identity providers were asked with for grants that have all ended, `lifetime` seconds after the login. Raises ClusterError."""
    scope = Scope(namespace, labels=f"{names.MANAGED_BY}={names.MANAGER},{names.PART}={names.LOGIN_PART}")
    async for page in cluster.pages(SECRET, scope):
        for found in page.items:
            if _seconds(found["metadata"]["creationTimestamp"]) + lifetime + SESSION + KEPT < now:
                with suppress(NotFound):
                    await cluster.delete(SECRET, found["metadata"]["name"], namespace)


async def _delete(cluster: Cluster, found: Object) -> int:
    meta = found["metadata"]
    # What was refreshed meanwhile is another version, and stays.
    preconditions = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    try:
        await cluster.delete(kind_resource(GRANT), meta["name"], meta["namespace"], preconditions=preconditions)
    except (Conflict, NotFound):
        return 0
    return 1


def _seconds(text: Any) -> float:
    """Return a time in seconds since the epoch; one that cannot be read has not come."""
    try:
        return seconds_of(text)
    except (TypeError, ValueError):
        return float("inf")
