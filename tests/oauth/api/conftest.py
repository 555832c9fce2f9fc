"""A platform on a real API server at which people log in."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import authorization_scene
from authorization_scene import Client, Scene
from faulty_proxy import FaultyProxy
from gateway_upstream import UpstreamServer, upstream_server
from served_crds import serve_crds
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login


@pytest.fixture(scope="module")
def crds(control_plane: str) -> None:
    asyncio.run(serve_crds(control_plane))


@pytest.fixture
async def proxy(admin: Login) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(admin) as running:
        yield running


@pytest.fixture
async def server() -> AsyncIterator[UpstreamServer]:
    async with upstream_server("legacy") as running:
        yield running


@pytest.fixture
async def empty(crds: None, cluster: Cluster) -> AsyncIterator[Scene]:
    async with authorization_scene.scene(cluster) as made:
        yield made


@pytest.fixture
async def scene(empty: Scene, proxy: FaultyProxy, server: UpstreamServer, tmp_path: Path) -> AsyncIterator[Scene]:
    """One replica."""
    await empty.prepare(server.url)
    kubeconfig = Path(empty.platform.kubeconfig(tmp_path / "kubeconfig", proxy.url))
    async with authorization_scene.running(empty, kubeconfig):
        yield empty


@pytest.fixture
async def replicas(empty: Scene, proxy: FaultyProxy, server: UpstreamServer, tmp_path: Path) -> AsyncIterator[Scene]:
    """Three replicas."""
    await empty.prepare(server.url)
    kubeconfig = Path(empty.platform.kubeconfig(tmp_path / "kubeconfig", proxy.url))
    async with authorization_scene.running(empty, kubeconfig, 3):
        yield empty


@pytest.fixture
async def client(scene: Scene) -> AsyncIterator[Client]:
    async with authorization_scene.client(scene) as made:
        yield made
