"""An operator against a real API server; no node is needed, so Deployments stay without pods."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess, platform_namespaces, scale_installed_operator
from wharfinger_cluster.client import Cluster


@pytest.fixture(scope="session")
def alone(control_plane: str) -> Iterator[None]:
    """No other operator: that of an installed chart would judge the same cluster-scoped objects by its own settings."""
    with ThreadPoolExecutor(1) as thread:
        before = thread.submit(asyncio.run, scale_installed_operator(control_plane, 0)).result()
        yield
        thread.submit(asyncio.run, scale_installed_operator(control_plane, before)).result()


@pytest.fixture
async def platform(alone: None, crds: None, control_plane: str, cluster: Cluster, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform_namespaces(cluster) as spaces:
        made = Platform(cluster, spaces, control_plane, tmp_path / "operator.log", secrets.token_hex(4))
        yield made
        await made.close()


@pytest.fixture
async def operator(platform: Platform) -> AsyncIterator[OperatorProcess]:
    running = await platform.operator()
    try:
        await until(running.leads, 60)
        yield running
    finally:
        await running.stop()
