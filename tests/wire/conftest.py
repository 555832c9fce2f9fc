"""A running gateway in front of a server that has everything, and programs of the npm registry to try it with."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from conformance_gateway import in_front
from everything_process import SUPPORT, everything_server
from everything_server.tools import definitions
from gateway_process import GatewayProcess, gateway_process
from gateway_world import dump, flat
from node_tools import NodeTools, node_tools
from own_address import ADDRESS


@pytest.fixture(scope="session")
def tools() -> NodeTools:
    return node_tools()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The base URL of a server that has everything, in both eras at once and in each alone."""
    with everything_server(ADDRESS) as base:
        yield base


@pytest.fixture
async def running(server: str, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    paths = {"tools": "mcp", "legacy": "legacy", "modern": "modern"}
    path = tmp_path / "manifests"
    path.write_text(dump(flat(*(in_front(name, f"{server}/{where}", definitions()) for name, where in paths.items()))))
    async with gateway_process([str(SUPPORT / "gateway_offline.py"), str(path)], {}) as process:
        await process.ready()
        yield process
