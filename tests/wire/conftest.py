"""A running gateway in front of a server of the official SDK, and programs of the npm registry to try it with."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway_process import GatewayProcess, gateway_process
from gateway_world import dump, gateway, installation, pinned, tool
from node_tools import NodeTools, node_tools
from own_address import ADDRESS
from wharfinger_mcp.discovery import discover
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.envelope import Identity
from wharfinger_mcp.errors import UpstreamError
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.upstream import Upstream

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="session")
def tools() -> NodeTools:
    return node_tools()


@pytest.fixture
async def server() -> AsyncIterator[str]:
    """The URL of a server of the official SDK that answers."""
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        port = listener.getsockname()[1]
    process = await asyncio.create_subprocess_exec(sys.executable, str(SUPPORT / "conformance_server.py"), ADDRESS, str(port))
    try:
        yield f"http://{ADDRESS}:{port}/mcp"
    finally:
        process.terminate()
        await process.wait()


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
        async with asyncio.timeout(20):
            while True:
                try:
                    offered = await discover(Upstream(client, parse_endpoint(server), Identity("test", "1")), {})
                except UpstreamError:
                    await asyncio.sleep(0.1)
                else:
                    return tuple(tool(one.name) for one in offered.tools)
    finally:
        await client.close()
