"""Taking away the tokens of installations that are gone, after a grace: a restore from a backup must not log everyone out.

Since when they are nobody's stands on them, so that neither a restart of the operator nor another leader begins to count anew. What a restore
brings back counts from then on, whatever it says of before.
"""

from __future__ import annotations

import logging
from typing import Final

from pydantic import ValidationError

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import SECRET, Object, Scope
from wharfinger_crds import names
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import INSTALLATION
from wharfinger_crds.moment import moment_of
from wharfinger_crds.upstream_token import SELECTOR, TokenKey, key_in, token_key
from wharfinger_operator.as_seen import annotate_as_seen, delete_as_seen, seconds_at

ORPHANED_SINCE: Final = f"{names.GROUP}/orphaned-since"
"""Annotation: when it was first found that there is no installation of these tokens any more."""
_log = logging.getLogger(__name__)


async def sweep_tokens(cluster: Cluster, namespace: str, now: float, grace: float, known: frozenset[TokenKey]) -> None:
    """Delete tokens whose installation has been gone, or another owner's or entry's, for `grace` seconds. Raises ClusterError.

    `known` are the keys of installations as last seen; that there are no others is not believed before the API server has said so.
    """
    swept = 0
    async for page in cluster.pages(SECRET, Scope(namespace, labels=SELECTOR)):
        for found in page.items:
            key = key_in(found)
            if key is None:
                continue
            if key in known or await _is_there(cluster, key):
                await _keep(cluster, found)
            else:
                swept += await _orphan(cluster, found, now, grace)
    if swept:
        _log.info("the installations of %d tokens are gone for good, and they are deleted", swept)


async def _keep(cluster: Cluster, found: Object) -> None:
    if ORPHANED_SINCE in found["metadata"]["annotations"]:
        await annotate_as_seen(cluster, SECRET, found, {ORPHANED_SINCE: None})


async def _orphan(cluster: Cluster, found: Object, now: float, grace: float) -> int:
    """Mark a token, or delete one that has been marked for long enough; return how many were deleted."""
    meta = found["metadata"]
    since = meta["annotations"].get(ORPHANED_SINCE)
    if since is None:
        await annotate_as_seen(cluster, SECRET, found, {ORPHANED_SINCE: moment_of(now)})
    elif max(seconds_at(since), seconds_at(meta["creationTimestamp"])) + grace < now:
        return await delete_as_seen(cluster, SECRET, found)
    return 0


async def _is_there(cluster: Cluster, key: TokenKey) -> bool:
    """Tell whether the API server has the installation; one that cannot be read may be it."""
    try:
        return token_key(Installation.parse(await cluster.get(kind_resource(INSTALLATION), key.name, key.namespace))) == key
    except NotFound:
        return False
    except ValidationError:
        return True
