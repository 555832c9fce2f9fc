"""The server that the gateway is tried with, tried itself: so a failure through the gateway is the gateway's."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp_types import ElicitResult

from conformance_suite import REVISIONS, required, run_server_leg, tried_again
from everything_process import ENVIRONMENT, STDIO, everything_server
from node_tools import NodeTools

Mode = Literal["legacy", "2026-07-28"]
TRANSPORTS: dict[str, tuple[Callable[[str], Any], Mode]] = {
    "http, legacy": (lambda base: f"{base}/legacy", "legacy"),
    "http, modern": (lambda base: f"{base}/modern", "2026-07-28"),
    "http, both eras, to a legacy client": (lambda base: f"{base}/mcp", "legacy"),
    "http, both eras, to a modern client": (lambda base: f"{base}/mcp", "2026-07-28"),
    "http, legacy, with questions on a stream of their own": (lambda base: f"{base}/apart", "legacy"),
    "sse": (lambda base: sse_client(f"{base}/sse"), "legacy"),
    "stdio, legacy": (lambda base: StdioServerParameters(command=STDIO[0], args=list(STDIO[1:]), env=ENVIRONMENT), "legacy"),
    "stdio, modern": (lambda base: StdioServerParameters(command=STDIO[0], args=list(STDIO[1:]), env=ENVIRONMENT), "2026-07-28"),
}


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with everything_server("127.0.0.1") as url:
        yield url


@pytest.mark.parametrize("revision", REVISIONS)
def test_it_passes_all_that_the_official_suite_requires(revision: str, base: str, tools: NodeTools, tmp_path: Path) -> None:
    wanted = required(tools, "server", revision)
    verdicts = run_server_leg(tools, f"{base}/mcp", revision, tmp_path)
    failed = [name for name in wanted if verdicts.get(name) != ()]

    assert {name: why for name, why in tried_again(tools, f"{base}/mcp", revision, tmp_path, failed).items() if why} == {}


@asynccontextmanager
async def connected(transport: str, base: str) -> AsyncIterator[Client]:
    async def elicit(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"username": "me", "email": "me@example.com"})

    server, mode = TRANSPORTS[transport]
    async with asyncio.timeout(20), Client(server(base), mode=mode, elicitation_callback=elicit) as client:
        yield client


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_it_has_tools_prompts_and_resources_on_every_transport(transport: str, base: str) -> None:
    async with connected(transport, base) as client:
        assert "test_simple_text" in {tool.name for tool in (await client.list_tools()).tools}
        assert "test_simple_prompt" in {prompt.name for prompt in (await client.list_prompts()).prompts}
        assert "test://static-text" in {str(resource.uri) for resource in (await client.list_resources()).resources}
        assert (await client.call_tool("test_simple_text")).content[0].model_dump()["text"].startswith("This is a simple text")
        assert (await client.call_tool("test_error_handling")).is_error


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_it_asks_and_tells_of_progress_on_every_transport(transport: str, base: str) -> None:
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with connected(transport, base) as client:
        asked = await client.call_tool("test_elicitation", {"message": "Who?"})
        await client.call_tool("test_tool_with_progress", progress_callback=hear)

    assert "me@example.com" in asked.content[0].model_dump()["text"]
    assert heard == [0, 50, 100]
