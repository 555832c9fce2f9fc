"""One caller takes what he can get of a running gateway, and what another has of it stays his."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from asking_scene import ABLE, ANSWER
from asking_server import AskingServer
from eventually import eventually
from gateway_bounded import bounded
from gateway_caller import META, MODERN
from gateway_world import ALICE, BOB, Manifest, gateway, installation, pinned, tool

PATH = "/v1/mcp/dev.tools"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
pytestmark = pytest.mark.requirement("GW-12")


def world(server: AskingServer) -> list[Manifest]:
    tools = [tool("ask"), tool("echo"), tool("wait")]
    return [*installation("bot", team="engineering", url=server.url, tools=tools), gateway("tools", pinned("bot"))]


@dataclass
class Client:
    """One client of a caller."""

    http: aiohttp.ClientSession
    url: str
    token: str
    open: list[aiohttp.ClientResponse]
    """Streams, until the end."""
    session: dict[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, str]:
        accepted = "application/json, text/event-stream"
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "Accept": accepted, **self.session}

    async def send(self, method: str, params: Any = None, **fields: str) -> tuple[int, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}})
        async with self.http.post(f"{self.url}{PATH}", data=body, headers=self.fields | fields) as response:
            text = await response.text()
            return response.status, json.loads(text.rpartition("data: ")[2])

    async def initialize(self) -> None:
        """Begin a session in which the client can be asked, so that it cannot go on without what is kept of it."""
        body = json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": ABLE}}
        )
        async with self.http.post(f"{self.url}{PATH}", data=body, headers=self.fields) as response:
            assert response.status == 200
            self.session = {"Mcp-Session-Id": response.headers["Mcp-Session-Id"]}

    async def call(self, name: str) -> tuple[int, Any]:
        return await self.send("tools/call", {"name": name, "arguments": {}})

    async def ask(self, **more: Any) -> Any:
        """Call the tool that asks, as a modern client that can be asked."""
        fields = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "bot__ask"}
        params = {"name": "bot__ask", "arguments": {}, "_meta": META | {CAPABILITIES: ABLE}} | more
        return (await self.send("tools/call", params, **fields))[1]["result"]

    async def stream(self, path: str = PATH) -> aiohttp.ClientResponse:
        self.open.append(await self.http.get(f"{self.url}{path}", headers=self.fields))
        return self.open[-1]


@dataclass
class Scene:
    """A running gateway, and who is before it."""

    url: str
    http: aiohttp.ClientSession
    open: list[aiohttp.ClientResponse] = field(default_factory=list)

    def client(self, token: str) -> Client:
        return Client(self.http, self.url, token, self.open)

    async def clients(self, token: str, count: int) -> list[Client]:
        """Return clients of one caller with a session each."""
        made = [self.client(token) for _ in range(count)]
        for one in made:
            await one.initialize()
        return made


@asynccontextmanager
async def scene(folder: Path, server: AskingServer, **bounds: int) -> AsyncIterator[Scene]:
    placed = {name.replace("__", "."): value for name, value in bounds.items()}
    async with (
        bounded(folder / "manifests", world(server), placed) as process,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(20)) as http,
    ):
        running = Scene(process.url, http)
        yield running
        for one in running.open:
            one.close()


async def test_a_flood_of_sessions_ends_the_floods_own(tmp_path: Path, old_asking: AskingServer) -> None:
    async with scene(tmp_path, old_asking, sessions__MAX_SESSIONS=20) as running:
        (bob,) = await running.clients(BOB, 1)
        calling, idle = await running.clients(ALICE, 2)
        waiting = asyncio.create_task(calling.call("bot__wait"))
        await eventually(old_asking.calls)
        await running.clients(ALICE, 60)
        assert (await bob.send("ping"))[0] == 200, "it was used longer ago than any other"
        assert (await idle.send("ping"))[0] == 404
        old_asking.gate.set()
        assert "result" in (await waiting)[1], "what is under way is not ended as long as others are idle"


async def test_a_flood_of_streams_is_refused_and_others_open_theirs(tmp_path: Path, old_asking: AskingServer) -> None:
    async with scene(tmp_path, old_asking, listeners__MAX_STREAMS=20) as running:
        first, second, third = await running.clients(ALICE, 3)
        assert [(await one.stream()).status for one in (first, second)] == [200, 200]
        for path in (PATH, f"{PATH}/sse"):
            refused = await third.stream(path)
            assert (refused.status, (await refused.json())["error"]["code"], refused.headers["Retry-After"]) == (429, -32016, "30")
        fields = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "subscriptions/listen"}
        third.session = {}
        wanted = {"notifications": {"toolsListChanged": True}, "_meta": META}
        status, message = await third.send("subscriptions/listen", wanted, **fields)
        assert (status, message["error"]["code"]) == (429, -32016)
        (bob,) = await running.clients(BOB, 1)
        assert (await bob.stream()).status == 200


async def test_a_flood_of_calls_that_wait_for_their_caller_is_refused_and_others_wait(tmp_path: Path, old_asking: AskingServer) -> None:
    async with scene(tmp_path, old_asking, conversation__MAX_CONVERSATIONS=20) as running:
        alice, bob = running.client(ALICE), running.client(BOB)
        mine = [await alice.ask() for _ in range(2)]
        assert [one["resultType"] for one in mine] == ["input_required"] * 2
        refused = await alice.ask()
        assert (refused["isError"], "wait for that already" in refused["content"][0]["text"]) == (True, True)
        await eventually(lambda: old_asking.requests[-1].method == "notifications/cancelled")
        his = await bob.ask()
        for caller, first in ((bob, his), (alice, mine[0])):
            answers = dict.fromkeys(first["inputRequests"], ANSWER)
            answered = await caller.ask(inputResponses=answers, requestState=first["requestState"])
            assert json.loads(answered["content"][0]["text"]) == {"1": ANSWER}
        assert (await alice.ask())["resultType"] == "input_required", "who has answered may be asked again"


async def test_a_flood_of_sessions_with_servers_ends_the_floods_own(tmp_path: Path, old_asking: AskingServer) -> None:
    async with scene(tmp_path, old_asking, upstreams__MAX_UPSTREAMS=4) as running:
        (bob,) = await running.clients(BOB, 1)
        await bob.call("bot__echo")
        his = old_asking.calls()[-1].header("Mcp-Session-Id")
        first, *more = await running.clients(ALICE, 10)
        waiting = asyncio.create_task(first.call("bot__wait"))
        await eventually(lambda: len(old_asking.calls()) == 2)
        for one in more:
            await one.call("bot__echo")
        await bob.call("bot__echo")
        assert old_asking.calls()[-1].header("Mcp-Session-Id") == his
        await eventually(lambda: len([one for one in old_asking.requests if one.verb == "DELETE"]) == 7)
        in_use = old_asking.calls()[1].header("Mcp-Session-Id")
        assert {tuple(one.header("Mcp-Session-Id")) for one in old_asking.requests if one.verb == "DELETE"}.isdisjoint(
            {tuple(his), tuple(in_use)}
        )
        old_asking.gate.set()
        assert "result" in (await waiting)[1]
