"""Do what the difference says, and tell what could not be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Conflict, Forbidden, Invalid, NotFound
from wharfinger_cluster.resource import (
    APPLICATION_NETWORK_POLICY,
    CILIUM_NETWORK_POLICY,
    CONFIG_MAP,
    DEPLOYMENT,
    FQDN_NETWORK_POLICY,
    NETWORK_POLICY,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Resource,
)
from wharfinger_crds import conditions as c
from wharfinger_operator.admission import Admission
from wharfinger_operator.diff import Changes
from wharfinger_operator.ownership import is_ours
from wharfinger_operator.world import Key, Manifest, key_of

RESOURCES: Final[dict[str, Resource]] = {
    r.kind: r
    for r in (
        *(CONFIG_MAP, DEPLOYMENT, SECRET, SERVICE, SERVICE_ACCOUNT),
        *(NETWORK_POLICY, CILIUM_NETWORK_POLICY, APPLICATION_NETWORK_POLICY, FQDN_NETWORK_POLICY),
    )
}


class Took(Protocol):
    """Takes in what a write returned."""

    def __call__(self, written: dict[str, Any], *, as_wanted: bool) -> None:
        """Take it in; `as_wanted`: it is what was written."""


async def execute(
    cluster: Cluster,
    changes: Changes,
    is_foreign: Callable[[Key], bool | None],
    admission: Admission,
    took: Took = lambda written, *, as_wanted: None,
) -> c.Finding | None:
    """Apply and delete in order; return why it stopped (Accepted=False), or None.

    What somebody else made is never taken over: where `is_foreign` does not know (None), the child is made only if nothing of its name is
    there, else the API server is asked whose that is.
    `took` is given what each write returned, and whether that is what was written. Raises ClusterError, which means: again, later.
    """
    for found in changes.remake:
        await _delete(cluster, found)
    for manifest in (*changes.replace, *changes.apply):
        where = "/".join(key_of(manifest))
        try:
            foreign, replaced = is_foreign(key_of(manifest)), manifest in changes.replace
            answer = await _create(cluster, manifest) if foreign is None else None
            if foreign or (foreign is None and answer is None and await _is_foreign(cluster, manifest)):
                return c.false(c.ACCEPTED, c.CONFLICT, f"{where} exists and is not ours: delete or rename it")
            if answer is None:
                answer = await (cluster.replace if replaced else cluster.apply)(RESOURCES[manifest["kind"]], manifest)
            took(answer, as_wanted=admission.learn(manifest, answer, replaced=replaced))
        except Invalid as error:
            return c.false(c.ACCEPTED, c.INVALID, f"the API server refuses {where}: {error}")
        except Forbidden as error:
            return c.false(c.ACCEPTED, c.FORBIDDEN, f"the operator may not write {where}: {error}")
    for found in changes.delete:
        admission.forget(found)
        await _delete(cluster, found)
    return None


async def _create(cluster: Cluster, manifest: dict[str, Any]) -> dict[str, Any] | None:
    """Make a child of which nothing is known; None: there is something of that name."""
    try:
        return await cluster.create(RESOURCES[manifest["kind"]], manifest)
    except Conflict:
        return None


async def _is_foreign(cluster: Cluster, manifest: Manifest) -> bool:
    meta = manifest["metadata"]
    try:
        return not is_ours(await cluster.get(RESOURCES[manifest["kind"]], meta["name"], meta["namespace"]))
    except NotFound:
        return False


async def _delete(cluster: Cluster, found: Manifest) -> None:
    meta = found["metadata"]
    try:
        await cluster.delete(RESOURCES[found["kind"]], meta["name"], meta["namespace"], preconditions={"uid": meta["uid"]})
    except NotFound:
        return
    except Conflict:
        # Another object took its name: it is looked at when its own event arrives.
        return
