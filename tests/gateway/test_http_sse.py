"""Clients of 2024-11-05: a stream that a GET opens, and messages that are posted beside it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession
from mcp.client.sse import sse_client

from asking_server import FORM, asking_server
from eventually import eventually
from gateway_process import GatewayProcess, gateway_process
from gateway_served import Serve, Served
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, BOB, Manifest, dump, gateway, installation, pinned, tool
from http_sse_client import PATH, Sse

OFFLINE = str(Path(__file__).parents[1] / "support/gateway_offline.py")
TOOLS = [tool("echo"), tool("wait"), tool("ask")]
pytestmark = pytest.mark.requirement("GW-4")


def world(server: UpstreamServer) -> list[Manifest]:
    return [*installation("bot", team="engineering", url=server.url, tools=TOOLS), gateway("tools", pinned("bot"))]


@pytest.fixture
def connect(serve: Serve) -> Callable[..., Awaitable[Sse]]:
    async def start(served: Served, token: str = ALICE) -> Sse:
        made = Sse(served.caller(token))
        await made.open()
        return made

    return start


Connect = Callable[..., Awaitable[Sse]]


@pytest.mark.parametrize(("asked", "agreed"), [("2024-11-05", "2024-11-05"), ("2025-11-25", "2025-11-25"), ("1999-01-01", "2025-11-25")])
async def test_answers_come_on_the_stream_and_posts_get_202(
    serve: Serve, connect: Connect, legacy_server: UpstreamServer, asked: str, agreed: str
) -> None:
    client = await connect(serve(world(legacy_server)))
    assert client.endpoint.startswith("/v1/mcp/dev.tools/sse/messages?session=")
    assert (await client.initialize(asked))["result"]["protocolVersion"] == agreed
    assert await client.post({"jsonrpc": "2.0", "method": "notifications/initialized"}) == 202
    called = await client.ask("tools/call", {"name": "bot__echo", "arguments": {"x": 1}}, id_="c")
    assert json.loads(called["result"]["content"][0]["text"]) == {"x": 1}
    assert (await client.ask("no/such", id_=2))["error"]["code"] == -32601
    assert await client.post([{"jsonrpc": "2.0", "id": n, "method": "ping"} for n in (7, 8)]) == 202
    await eventually(lambda: client.answers(8))
    assert [client.answers(n)[0]["result"] for n in (7, 8)] == [{}, {}]


async def test_a_message_needs_the_stream_of_its_own_caller(serve: Serve, connect: Connect, legacy_server: UpstreamServer) -> None:
    served = serve(world(legacy_server))
    client = await connect(served)
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert await client.post(ping, served.caller(BOB)) == 404
    for path in (f"{PATH}/messages", f"{PATH}/messages?session=", f"{PATH}/messages?session=x.y"):
        assert (await client.caller.send(json.dumps(ping).encode(), path=path)).status == 404
    for verb, path in (("POST", PATH), ("DELETE", PATH), ("GET", f"{PATH}/messages")):
        assert (await client.caller.send(verb=verb, path=path)).status == 405
    for body, status in ((b"{", 400), (b"[]", 400), (b"x" * (5 * 1024 * 1024), 413)):
        assert (await client.caller.send(body, path=client.endpoint)).status == status
    client.caller.channel.leave()
    await asyncio.wait_for(client.stream, 5)
    assert await client.post(ping) == 404
    stranger = served.caller(None)
    assert (await stranger.send(verb="GET", path=PATH)).status == 401


async def test_the_end_of_the_stream_ends_its_calls(serve: Serve, connect: Connect, legacy_server: UpstreamServer) -> None:
    client = await connect(serve(world(legacy_server)))
    await client.initialize()
    await client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "bot__wait"}})
    await eventually(legacy_server.calls)
    client.caller.channel.leave()
    await asyncio.wait_for(client.stream, 5)
    await eventually(lambda: legacy_server.requests[-1].method == "notifications/cancelled")


async def test_requests_of_one_stream_are_bounded_and_others_are_served(
    serve: Serve, connect: Connect, legacy_server: UpstreamServer
) -> None:
    served = serve(world(legacy_server))
    client, other = await connect(served), await connect(served, BOB)
    statuses = [await client.post({"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {"name": "bot__wait"}}) for n in range(66)]
    assert statuses == [202] * 64 + [429] * 2
    assert (await other.ask("ping"))["result"] == {}


async def test_a_client_is_asked_on_its_stream(serve: Serve, connect: Connect) -> None:
    async with asking_server("legacy") as server:
        client = await connect(serve(world(server)))
        await client.initialize(capabilities={"elicitation": {}})
        await client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "bot__ask"}})
        await eventually(lambda: [one for one in client.caller.channel.said if one.get("method") == "elicitation/create"])
        (question,) = [one for one in client.caller.channel.said if one.get("method") == "elicitation/create"]
        assert question["params"] == FORM
        assert await client.post({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}}) == 202
        await eventually(lambda: client.answers(1))
        assert json.loads(client.answers(1)[0]["result"]["content"][0]["text"]) == {"1": {"action": "decline"}}


@pytest.fixture
async def running(tmp_path: Path, legacy_server: UpstreamServer, modern_server: UpstreamServer) -> AsyncIterator[GatewayProcess]:
    path = tmp_path / "manifests"
    both = [
        *installation("old", team="engineering", url=legacy_server.url, tools=TOOLS),
        *installation("new", team="engineering", url=modern_server.url, tools=TOOLS),
    ]
    path.write_text(dump([*both, gateway("tools", pinned("old"), pinned("new"))]))
    async with gateway_process([OFFLINE, str(path)]) as process:
        await process.ready()
        yield process


async def test_the_official_sdk_calls_servers_of_both_eras_over_it(running: GatewayProcess) -> None:
    async with (
        sse_client(f"{running.url}{PATH}", headers={"Authorization": f"Bearer {ALICE}"}) as (read, write),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        assert "old__echo" in [one.name for one in (await session.list_tools()).tools]
        for name in ("old__echo", "new__echo"):
            result: Any = await session.call_tool(name, {"a": 1})
            assert json.loads(result.content[0].text) == {"a": 1}
