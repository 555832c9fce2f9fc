"""What tests against a real API server start from: the server, an open client, a namespace of their own.

Imports are in the fixtures, so that pure tests neither need nor load what talks to a cluster.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from wharfinger_cluster.client import Cluster
    from wharfinger_cluster.connection import Login


@pytest.fixture(scope="session")
def control_plane() -> str:
    """The path of an administrator's kubeconfig."""
    import cluster_access  # noqa: PLC0415

    reached = cluster_access.control_plane()
    if isinstance(reached, cluster_access.Unavailable):
        pytest.skip(str(reached))
    return str(reached.kubeconfig)


@pytest.fixture
async def admin(control_plane: str) -> Login:
    from wharfinger_cluster.kubeconfig import from_kubeconfig  # noqa: PLC0415

    return await from_kubeconfig(control_plane)


@pytest.fixture
async def cluster(admin: Login) -> AsyncIterator[Cluster]:
    from wharfinger_cluster.client import Cluster  # noqa: PLC0415

    async with Cluster(admin) as client:
        yield client


@pytest.fixture
async def namespace(cluster: Cluster) -> AsyncIterator[str]:
    from wharfinger_cluster.resource import NAMESPACE  # noqa: PLC0415

    name = f"test-{secrets.token_hex(4)}"
    await cluster.create(NAMESPACE, {"metadata": {"name": name}})
    yield name
    await cluster.delete(NAMESPACE, name)
