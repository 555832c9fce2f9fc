"""A running gateway in front of a server that has everything, and programs of the npm registry to try it with."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from everything_process import SUPPORT, everything_server
from everything_server.tools import TOOLS
from gateway_process import GatewayProcess, gateway_process
from gateway_world import dump, gateway, installation, pinned
from node_tools import NodeTools, node_tools
from own_address import ADDRESS


@pytest.fixture(scope="session")
def tools() -> NodeTools:
    return node_tools()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a server that has everything, in both eras."""
    with everything_server(ADDRESS) as base:
        yield f"{base}/mcp"


@pytest.fixture
async def running(server: str, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    definitions = [tool.definition(name) for name, tool in TOOLS.items()]
    manifests = [
        *installation("t", team="engineering", url=server, tools=definitions),
        gateway("tools", pinned("t", prompts=["*"], resources=["*"])),
    ]
    path = tmp_path / "manifests"
    path.write_text(dump(manifests))
    async with gateway_process([str(SUPPORT / "gateway_offline.py"), str(path)], {}) as process:
        await process.ready()
        yield process
