"""Taking away McpGrants that nothing can come of any more, and what was kept for them."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import SECRET, Object, Scope
from wharfinger_crds import names
from wharfinger_crds.kinds import GRANT
from wharfinger_operator.as_seen import delete_as_seen, seconds_at

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
                # What was refreshed meanwhile is another version, and stays.
                ended += await delete_as_seen(cluster, kind_resource(GRANT), found)
    if ended:
        _log.info("%d grants had ended and are deleted", ended)


def has_ended(found: Object, now: float, idle: float) -> bool:
    """Tell whether nothing can come of a grant any more, at `now`, in seconds since the epoch."""
    spec, status, created = found.get("spec", {}), found.get("status", {}), found["metadata"]["creationTimestamp"]
    if spec.get("revoked"):
        return seconds_at(created) + KEPT < now
    refreshed = seconds_at(status.get("refreshedAt") or created)
    return seconds_at(spec.get("expiresAt")) + KEPT < now or refreshed + idle + KEPT < now


async def sweep_logins(cluster: Cluster, namespace: str, now: float, lifetime: float) -> None:
    """Delete what identity providers were asked with for grants that have all ended, `lifetime` seconds after the login. Raises ClusterError."""
    scope = Scope(namespace, labels=f"{names.MANAGED_BY}={names.MANAGER},{names.PART}={names.LOGIN_PART}")
    async for page in cluster.pages(SECRET, scope):
        for found in page.items:
            if seconds_at(found["metadata"]["creationTimestamp"]) + lifetime + SESSION + KEPT < now:
                with suppress(NotFound):
                    await cluster.delete(SECRET, found["metadata"]["name"], namespace)
