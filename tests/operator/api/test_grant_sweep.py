"""Grants that have ended go away; those that something can still come of stay."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from served_crds import serve_crds
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import Scope
from wharfinger_crds.kinds import GRANT
from wharfinger_operator.grant_sweep import KEPT, has_ended, sweep_grants

RESOURCE = kind_resource(GRANT)
IDLE = 14 * 86_400.0
DAY = 86_400.0


def moment(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")


def grant(name: str, namespace: str, *, expires: float, revoked: bool = False) -> dict[str, Any]:
    subject = {"identityProvider": "okta", "issuer": "https://okta.example", "subject": "alice", "authenticatedAt": moment(expires - DAY)}
    client = {"name": "Editor", "digest": "0" * 32}
    spec = {"user": "okta:alice", "client": client, "gateway": "a.b", "subject": subject, "expiresAt": moment(expires), "seal": "0"}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {**spec, "revoked": revoked}}


@pytest.fixture(scope="module")
def crds(control_plane: str) -> None:
    asyncio.run(serve_crds(control_plane))


@pytest.mark.requirement("AUT-6")
async def test_what_has_ended_is_deleted_and_nothing_else(crds: None, cluster: Cluster, namespace: str) -> None:
    now = time.time()
    await cluster.create(RESOURCE, grant("expired", namespace, expires=now - KEPT - 60))
    await cluster.create(RESOURCE, grant("just-expired", namespace, expires=now - 60))
    await cluster.create(RESOURCE, grant("in-use", namespace, expires=now + 30 * DAY))
    await cluster.create(RESOURCE, grant("revoked", namespace, expires=now + 30 * DAY, revoked=True))

    async def left(at: float) -> set[str]:
        await sweep_grants(cluster, namespace, at, IDLE)
        return {found["metadata"]["name"] for found in await cluster.list(RESOURCE, Scope(namespace))}

    assert await left(now) == {"just-expired", "in-use", "revoked"}
    assert await left(now + KEPT + 60) == {"in-use"}
    # Used up to here; from now on nobody refreshes it.
    refreshed = {"status": {"refreshes": 3, "refreshedAt": moment(now + 10 * DAY)}}
    await cluster.patch(RESOURCE, "in-use", refreshed, namespace, subresource="status")
    assert await left(now + IDLE + DAY) == {"in-use"}
    assert await left(now + 10 * DAY + IDLE + KEPT + 60) == set()


def test_a_time_that_cannot_be_read_ends_nothing() -> None:
    found = grant("g", "n", expires=0.0)
    found["metadata"]["creationTimestamp"] = moment(0)
    found["spec"]["expiresAt"] = "never"
    assert not has_ended(found, 1_000.0, IDLE)
