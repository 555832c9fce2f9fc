"""Streams of the running program, as clients see them over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from eventually import eventually
from gateway_process import GatewayProcess, gateway_process
from gateway_upstream import PROGRESS, UpstreamServer
from gateway_world import ALICE, dump, gateway, installation, pinned, tool

OFFLINE = str(Path(__file__).parents[1] / "support/gateway_offline.py")
TOOLS = (tool("echo"), tool("wait"))
SAID = [
    {"method": "notifications/progress", "params": {"progressToken": PROGRESS, "progress": 1, "total": 2}},
    {"method": "notifications/message", "params": {"level": "warning", "data": "two\nlines"}},
]
MODERN = "2026-07-28"
META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}


@pytest.fixture
async def running(tmp_path: Path, legacy_server: UpstreamServer, modern_server: UpstreamServer) -> AsyncIterator[GatewayProcess]:
    manifests = [
        *installation("old", team="engineering", url=legacy_server.url, tools=TOOLS),
        *installation("new", team="engineering", url=modern_server.url, tools=TOOLS),
        gateway("tools", pinned("old"), pinned("new")),
    ]
    for server in (legacy_server, modern_server):
        server.says["echo"] = SAID
    path = tmp_path / "manifests"
    path.write_text(dump(manifests))
    async with gateway_process([OFFLINE, str(path)], {"WHARFINGER_DRAIN_SECONDS": "20"}) as process:
        await process.ready()
        yield process


@asynccontextmanager
async def sent(running: GatewayProcess, method: str, params: dict[str, Any], **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer to a modern request, as soon as its head is there."""
    own = {"Authorization": f"Bearer {ALICE}", "MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    own |= {"Accept": "application/json, text/event-stream"} | ({"Mcp-Name": params["name"]} if "name" in params else {}) | headers
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": META | params.get("_meta", {})}}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session,
        session.post(f"{running.url}/v1/mcp/dev.tools", json=body, headers=own) as response,
    ):
        yield response


def call(name: str, **meta: Any) -> dict[str, Any]:
    return {"name": name, "arguments": {}, "_meta": meta}


@pytest.mark.requirement("GW-5")
@pytest.mark.parametrize("mode", ["legacy", MODERN])
@pytest.mark.parametrize("server", ["old", "new"])
async def test_the_official_sdk_hears_progress_and_logs_of_both_eras_servers(
    running: GatewayProcess, mode: str, server: str, legacy_server: UpstreamServer, modern_server: UpstreamServer
) -> None:
    heard: list[float] = []
    logs: list[Any] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async def on_log(params: Any) -> None:
        logs.append(params.data)

    for upstream in (legacy_server, modern_server):
        upstream.gate.set()
    meta: Any = {"io.modelcontextprotocol/logLevel": "info"} if mode == MODERN else None
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {ALICE}"}, timeout=10) as http,
        Client(streamable_http_client(f"{running.url}/v1/mcp/dev.tools", http_client=http), mode=mode, logging_callback=on_log) as client,
    ):
        result = await client.call_tool(f"{server}__echo", {}, progress_callback=on_progress, meta=meta)
        assert not result.is_error
    assert heard == [1]
    assert logs == ["two\nlines"]


async def test_an_answer_is_json_until_something_comes_before_it_and_then_a_stream(
    running: GatewayProcess, legacy_server: UpstreamServer
) -> None:
    legacy_server.gate.set()
    async with sent(running, "tools/call", call("old__echo")) as plain:
        assert plain.content_type == "application/json"
    async with sent(running, "tools/call", call("old__echo", progressToken="p")) as stream:
        assert (stream.status, stream.content_type) == (200, "text/event-stream")
        assert (stream.headers["Cache-Control"], stream.headers["X-Accel-Buffering"]) == ("no-cache, no-transform", "no")
        events = (await stream.text()).split("\n\n")
        assert all(event.startswith("data: ") and "\n" not in event for event in events[:-1])
        told = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
        assert [one.get("method") for one in told] == ["notifications/progress", None]
        assert told[1]["id"] == 1
    async with sent(running, "tools/call", call("old__echo", progressToken="p"), Accept="application/json") as plain:
        assert plain.content_type == "application/json"


@pytest.mark.parametrize("name", ["old__wait", "new__wait"])
async def test_a_modern_client_that_leaves_ends_its_call(
    running: GatewayProcess, name: str, legacy_server: UpstreamServer, modern_server: UpstreamServer
) -> None:
    server = legacy_server if name == "old__wait" else modern_server

    async def calling() -> None:
        async with sent(running, "tools/call", call(name)):
            raise AssertionError("nothing answers")

    task = asyncio.create_task(calling())
    await eventually(server.calls)
    task.cancel()
    await eventually(lambda: any('"outcome":"cancelled"' in line for line in running.out))
    if server.era == "legacy":
        await eventually(lambda: server.requests[-1].method == "notifications/cancelled")


async def test_streams_end_at_once_when_the_program_is_to_end_and_calls_are_waited_for(
    running: GatewayProcess, legacy_server: UpstreamServer
) -> None:
    async with sent(running, "subscriptions/listen", {"notifications": {"toolsListChanged": True}}) as stream:
        assert b"acknowledged" in await stream.content.readuntil(b"\n\n")
        waiting = asyncio.create_task(_status(running, "old__wait"))
        await eventually(legacy_server.calls)
        running.stop()
        assert b'"resultType":"complete"' in await stream.read()
    assert not waiting.done()
    legacy_server.gate.set()
    assert await waiting == 200
    assert await running.ended() == 0


async def _status(running: GatewayProcess, name: str) -> int:
    async with sent(running, "tools/call", call(name)) as response:
        await response.read()
        return response.status


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_no_event_has_an_id_so_that_nothing_can_be_resumed_and_an_id_that_was_never_given_means_nothing(
    running: GatewayProcess, mode: str, legacy_server: UpstreamServer
) -> None:
    legacy_server.gate.set()
    if mode == MODERN:
        asked = call("old__echo", **{"io.modelcontextprotocol/logLevel": "debug", "progressToken": 1})
        async with sent(running, "tools/call", asked, **{"Last-Event-ID": "7"}) as response:
            assert (response.status, response.content_type) == (200, "text/event-stream")
            text = await response.text()
            assert "notifications/progress" in text
            assert "\nid:" not in text
        return
    fields = {"Authorization": f"Bearer {ALICE}", "Accept": "application/json, text/event-stream"}
    url = f"{running.url}/v1/mcp/dev.tools"
    initialize = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
        async with session.post(url, json=message, headers=fields) as response:
            fields["Mcp-Session-Id"] = response.headers["Mcp-Session-Id"]
        async with session.get(url, headers=fields | {"Last-Event-ID": "7"}) as response:
            assert (response.status, response.content_type) == (200, "text/event-stream")
            assert await response.content.readuntil(b"\n\n") == b":\n\n"
