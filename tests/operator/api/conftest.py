"""An operator against a real API server; no node is needed, so Deployments stay without pods."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess, platform_namespaces
from wharfinger_cluster.client import Cluster


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
