"""The official SDKs, both lines of both languages, and MCP Inspector: each goes once through everything, and all see the same."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitResult, TextContent, TextResourceContents

from everything_server.prompts import PROMPTS
from everything_server.resources import RESOURCES
from everything_server.tools import TOOLS
from gateway_process import GatewayProcess
from gateway_world import ALICE
from node_tools import NodeTools
from older_sdk import CLIENTS, run_older_sdk

ANSWER = {"username": "Ann", "email": "ann@example.com"}
SEEN = {
    "tools": sorted(f"t__{name}" for name in TOOLS),
    "called": "This is a simple text response for testing.",
    "prompts": sorted(f"t__{name}" for name in PROMPTS),
    "prompt": "Prompt with arguments: arg1='a', arg2='b'",
    "resources": sorted(RESOURCES),
    "read": RESOURCES["test://static-text"]["text"],
}
See = Callable[[str, NodeTools, Path], Awaitable[dict[str, Any]]]


def typescript(program: str, mode: str) -> See:
    async def see(url: str, tools: NodeTools, home: Path) -> dict[str, Any]:
        return _read(await asyncio.to_thread(tools.run_module, CLIENTS / program, url, ALICE, mode, home=home))

    return see


async def python_1(url: str, tools: NodeTools, home: Path) -> dict[str, Any]:
    return _read(await asyncio.to_thread(run_older_sdk, url, ALICE))


def _read(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def python_2(mode: str) -> See:
    async def answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="accept", content=ANSWER)

    async def see(url: str, tools: NodeTools, home: Path) -> dict[str, Any]:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {ALICE}"}, timeout=20) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode, elicitation_callback=answer) as client,
        ):
            revision = client.protocol_version
            listed = await client.list_tools()
            called = await client.call_tool("t__test_simple_text", {})
            asked = await client.call_tool("t__test_elicitation", {"message": "Who?"})
            prompts = await client.list_prompts()
            prompt = await client.get_prompt("t__test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
            resources = await client.list_resources()
            read = await client.read_resource("test://static-text")
        (contents,) = read.contents
        assert isinstance(contents, TextResourceContents)
        return {
            "revision": revision,
            "tools": [one.name for one in listed.tools],
            "called": _text(called.content[0]),
            "asked": _text(asked.content[0]),
            "prompts": [one.name for one in prompts.prompts],
            "prompt": _text(prompt.messages[0].content),
            "resources": [str(one.uri) for one in resources.resources],
            "read": contents.text,
        }

    return see


def _text(content: Any) -> str:
    assert isinstance(content, TextContent)
    return content.text


CLIENTS_OF: dict[str, tuple[See, str]] = {
    "Python SDK 1": (python_1, "2025-11-25"),
    "Python SDK 2, legacy": (python_2("legacy"), "2025-11-25"),
    "Python SDK 2, newest": (python_2("2026-07-28"), "2026-07-28"),
    "TypeScript SDK 1": (typescript("typescript_1.mjs", "legacy"), "2025-11-25"),
    "TypeScript SDK 2, legacy": (typescript("typescript_2.mjs", "legacy"), "2025-11-25"),
    "TypeScript SDK 2, newest": (typescript("typescript_2.mjs", "auto"), "2026-07-28"),
}


@pytest.mark.requirement("GW-4", "GW-5", "GW-16")
@pytest.mark.parametrize("server_era", ["legacy", "modern"])
@pytest.mark.parametrize("client", CLIENTS_OF)
async def test_an_official_client_lists_calls_is_asked_prompts_and_reads_in_its_own_revision(
    client: str, server_era: str, tools: NodeTools, running: GatewayProcess, tmp_path: Path
) -> None:
    see, revision = CLIENTS_OF[client]

    seen = await see(f"{running.url}/v1/mcp/dev.{server_era}", tools, tmp_path)

    asked = seen.pop("asked")
    assert {name: sorted(value) if isinstance(value, list) else value for name, value in seen.items()} == SEEN | {"revision": revision}
    assert all(word in asked for word in ANSWER.values()), asked
