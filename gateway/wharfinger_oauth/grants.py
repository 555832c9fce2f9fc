"""The store of grants: McpGrants in the system namespace.

Invariants: a name is used once, so that of two who redeem one credential one fails; a refresh is counted on the version that was read, so
that of two who refresh one fails. Nothing is read from a cache here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Conflict, NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import Object, Scope
from wharfinger_crds.kinds import GRANT
from wharfinger_crds.moment import seconds_of
from wharfinger_oauth.grant_record import GrantRecord, manifest, read_grant, status_after

GRANTS_OF_A_USER: Final = 50
_RESOURCE: Final = kind_resource(GRANT)


@dataclass(frozen=True, slots=True)
class OwnGrant:
    """A grant, as its user is told of it; times in seconds since the epoch."""

    name: str
    client_name: str
    gateway: str
    since: int
    ends: int
    last_used: int | None


class UsedError(Exception):
    """The credential was used before, or somebody else is using it at this moment."""


class Grants:
    """Reads and writes grants. Every method raises ClusterError where the API server cannot be asked."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace

    async def create(self, record: GrantRecord, root_key: bytes) -> None:
        """Make a grant. Raise UsedError where there is one of that name: then it ends."""
        try:
            await self._cluster.create(_RESOURCE, manifest(record, self._namespace, root_key))
        except Conflict:
            await self.revoke(record.name)
            raise UsedError from None

    async def share(self, record: GrantRecord, root_key: bytes, now: float) -> None:
        """Make a grant, unless it is there. Raise UsedError where it is there and counts no more."""
        try:
            await self._cluster.create(_RESOURCE, manifest(record, self._namespace, root_key))
        except Conflict:
            found = await self.find(record.name, root_key)
            if found is None or not found.counts(now):
                raise UsedError from None

    async def find(self, name: str, root_key: bytes) -> GrantRecord | None:
        """Return a grant; None where there is none. Raise NoGrantError where the object is none of ours."""
        try:
            return read_grant(await self._cluster.get(_RESOURCE, name, self._namespace), root_key)
        except NotFound:
            return None

    async def refresh(self, record: GrantRecord, now: float, root_key: bytes) -> None:
        """Count a refresh. Raise UsedError where it was counted by somebody else, or the grant is gone."""
        try:
            found = await self._cluster.get(_RESOURCE, record.name, self._namespace)
            if _refreshes(found) != record.refreshes or found["spec"].get("revoked"):
                raise UsedError
            status = {**found.get("status", {}), **status_after(record, now, root_key)}
            await self._cluster.replace(_RESOURCE, {**found, "status": status}, subresource="status")
        except (Conflict, NotFound):
            raise UsedError from None

    async def revoke(self, name: str) -> None:
        """End a grant; one that is not there any more has ended. The object stays until nothing can be redeemed for it again."""
        try:
            await self._cluster.patch(_RESOURCE, name, {"spec": {"revoked": True}}, self._namespace)
        except NotFound:
            return

    async def of_user(self, user: str, now: float) -> tuple[OwnGrant, ...]:
        """Return a user's grants that count, the newest first."""
        found = [_own(one) for one in await self._list(user) if not one["spec"].get("revoked")]
        return tuple(sorted((one for one in found if one.ends > now), key=lambda one: (-one.since, one.name)))

    async def end_oldest(self, user: str, newest: str, now: float) -> None:
        """End what a user has beyond fifty grants that count, of which `newest` is the last to go.

        Nothing is deleted: what a grant was made from could be used again.
        """
        found = [one for one in await self._list(user) if not one["spec"].get("revoked") and seconds_of(one["spec"]["expiresAt"]) > now]
        found.sort(key=lambda one: (one["metadata"]["name"] == newest, _created(one)))
        for one in found[: max(0, len(found) - GRANTS_OF_A_USER)]:
            await self.revoke(one["metadata"]["name"])

    async def _list(self, user: str) -> tuple[Object, ...]:
        return await self._cluster.list(_RESOURCE, Scope(self._namespace, fields=f"spec.user={user}"))


def _own(found: Object) -> OwnGrant:
    spec, used = found["spec"], found.get("status", {}).get("lastUsed")
    times = (seconds_of(_created(found)), seconds_of(spec["expiresAt"]), seconds_of(used) if used else None)
    return OwnGrant(found["metadata"]["name"], spec["client"]["name"], spec["gateway"], *times)


def _refreshes(found: Object) -> int:
    status: Mapping[str, int] = found.get("status", {})
    return status.get("refreshes", 0)


def _created(found: Object) -> str:
    created: str = found["metadata"]["creationTimestamp"]
    return created
