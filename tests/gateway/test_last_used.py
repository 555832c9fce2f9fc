"""When credentials were last used, on a real API server: about right, and seldom written."""

import asyncio
from datetime import UTC, datetime

import pytest

from gateway_world import ALICE, token
from served_crds import serve_crds
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_crds.kinds import TOKEN
from wharfinger_gateway.last_used import APART, LastUsed

NOW = 1_790_000_000.0


@pytest.fixture(scope="module")
def crds(control_plane: str) -> None:
    asyncio.run(serve_crds(control_plane))


@pytest.mark.requirement("AUT-4")
async def test_a_token_that_is_used_says_about_when_and_is_not_written_at_each_use(crds: None, cluster: Cluster, namespace: str) -> None:
    manifest = token("alice", ALICE, user="okta:alice")
    await cluster.create(kind_resource(TOKEN), manifest | {"metadata": {"name": "alice", "namespace": namespace}})
    moments = [NOW]
    used = LastUsed(cluster, namespace, lambda: moments[-1])

    async def written() -> tuple[str, str]:
        await used.write()
        found = await cluster.get(kind_resource(TOKEN), "alice", namespace)
        return found["metadata"]["resourceVersion"], found.get("status", {}).get("lastUsed", "")

    before, never = await written()
    assert never == ""
    used.note("McpToken alice")
    used.note("McpToken deleted-meanwhile")
    used.note("ServiceAccount agents/researcher")
    first, said = await written()
    assert datetime.fromisoformat(said) == datetime.fromtimestamp(NOW, UTC)
    assert first != before
    moments.append(NOW + APART - 1)
    used.note("McpToken alice")
    assert await written() == (first, said)
    moments.append(NOW + APART)
    used.note("McpToken alice")
    _, later = await written()
    assert datetime.fromisoformat(later) == datetime.fromtimestamp(NOW + APART, UTC)
