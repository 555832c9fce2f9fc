"""A running gateway in front of a server that has everything, and programs of the npm registry to try it with."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from everything_process import SUPPORT, everything_server
from everything_server.tools import TOOLS
from gateway_process import GatewayProcess, gateway_process
from gateway_world import Manifest, dump, flat, gateway, installation, pinned
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


def paths(base: str) -> Mapping[str, str]:
    """Return the URLs of the server by the name of the gateway in front of each."""
    return {"tools": f"{base}/mcp", "legacy": f"{base}/legacy", "modern": f"{base}/modern"}


def _manifests(name: str, url: str, tools: list[dict[str, Any]]) -> list[Manifest]:
    installed = installation(name, team="engineering", url=url, tools=tools)
    return [*installed, gateway(name, pinned(name, prefix="t", prompts=["*"], resources=["*"]))]


@pytest.fixture
async def running(server: str, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    definitions = [tool.definition(name) for name, tool in TOOLS.items()]
    path = tmp_path / "manifests"
    path.write_text(dump(flat(*(_manifests(*named, definitions) for named in paths(server).items()))))
    async with gateway_process([str(SUPPORT / "gateway_offline.py"), str(path)], {}) as process:
        await process.ready()
        yield process
