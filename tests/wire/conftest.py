"""A running gateway in front of a server that has everything, and programs of the npm registry to try it with."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from everything_process import everything_server
from gateway_process import GatewayProcess, gateway_process
from gateway_world import dump, gateway, installation, pinned
from node_tools import NodeTools, node_tools
from own_address import ADDRESS
from wharfinger_mcp.discovery import discover
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.envelope import Identity
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.upstream import Upstream

SUPPORT = Path(__file__).parents[1] / "support"


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
    """A gateway whose tools are those that the server itself lists."""
    found = await _discovered(server)
    manifests = [*installation("t", team="engineering", url=server, tools=found), gateway("tools", pinned("t"))]
    path = tmp_path / "manifests"
    path.write_text(dump(manifests))
    async with gateway_process([str(SUPPORT / "gateway_offline.py"), str(path)], {}) as process:
        await process.ready()
        yield process


async def _discovered(server: str) -> tuple[dict[str, Any], ...]:
    client = HttpClient()
    try:
        offered = await discover(Upstream(client, parse_endpoint(server), Identity("test", "1")), {})
    finally:
        await client.close()
    return tuple(json.loads(one.definition) for one in offered.tools)
