"""A replica that is told to end, as a rolling restart does: what it has begun ends well, and its clients go on at the others."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import aiohttp
import pytest

from asking_server import AskingServer, asking_server
from eventually import eventually
from gateway_caller import META, MODERN
from gateway_process import GatewayProcess
from gateway_upstream import Json, UpstreamServer
from gateway_world import ALICE
from replica_client import ABLE, ANSWER, PATH, ReplicaClient, call, event, manifests, replica, three_replicas

pytestmark = pytest.mark.requirement("GW-14")


@pytest.fixture
async def server() -> AsyncIterator[AskingServer]:
    async with asking_server("legacy") as running:
        yield running


@pytest.fixture
async def client(tmp_path: Path, server: AskingServer) -> AsyncIterator[ReplicaClient]:
    async with three_replicas(tmp_path, server.url) as client:
        yield client


def another(client: ReplicaClient) -> ReplicaClient:
    return ReplicaClient(client.replicas, client.http)


async def ended_well(process: GatewayProcess) -> None:
    assert await process.ended() == 0
    assert [line for line in process.err if "listening" not in line] == []


async def test_calls_under_way_end_well_and_their_connections_with_them(client: ReplicaClient, server: AskingServer) -> None:
    await client.initialize(0, {})
    legacy = asyncio.create_task(client.said(0, call("bot__wait", 1)))
    message = call("bot__wait", 1)
    message["params"]["_meta"] = META
    headers = {"MCP_Protocol_Version": MODERN, "Mcp_Method": "tools/call", "Mcp_Name": "bot__wait"}

    async def modern() -> tuple[int, str | None]:
        async with another(client).sent(0, message, **headers) as response:
            return response.status, response.headers.get("Connection")

    calling = asyncio.create_task(modern())
    await eventually(lambda: len(server.calls()) == 2)
    client.replicas[0].stop()
    await eventually_unready(client.replicas[0])
    server.gate.set()
    status, found = await asyncio.wait_for(legacy, 10)
    assert (status, "result" in found) == (200, True)
    assert await asyncio.wait_for(calling, 10) == (200, "close")
    await ended_well(client.replicas[0])
    assert len(server.calls()) == 2


async def test_what_waits_for_its_caller_takes_his_answer_by_another_replica(client: ReplicaClient, server: AskingServer) -> None:
    await client.initialize(0, ABLE)
    parked = another(client)
    first = await parked.modern(0, 1)
    async with client.sent(0, call("bot__ask", 1)) as stream:
        question = await event(stream, "method")
        client.replicas[0].stop()
        await eventually_unready(client.replicas[0])
        assert (await client.said(1, {"jsonrpc": "2.0", "id": question["id"], "result": ANSWER}))[0] == 202
        assert json.loads((await event(stream, "result"))["result"]["content"][0]["text"]) == {"1": ANSWER}
    answers = dict.fromkeys(first["inputRequests"], ANSWER)
    second = await parked.modern(2, 2, inputResponses=answers, requestState=first["requestState"])
    assert json.loads(second["content"][0]["text"]) == {"1": ANSWER}
    await ended_well(client.replicas[0])
    assert len(server.calls()) == 2


@pytest.mark.parametrize("is_askable", [False, True], ids=["that cannot be asked goes on", "that can be asked is told 404 and begins anew"])
async def test_while_its_replica_leaves_a_legacy_client(client: ReplicaClient, server: AskingServer, is_askable: bool) -> None:
    await client.initialize(0, ABLE if is_askable else {})
    busy = another(client)
    await busy.initialize(0, ABLE)
    async with client.sent(1) as listening, busy.sent(0, call("bot__ask", 1)) as stream:
        question = await event(stream, "method")
        client.replicas[0].stop()
        await asyncio.wait_for(listening.read(), 10)
        for attempt in range(2):
            expected = 404 if is_askable and attempt == 0 else 200
            async with client.sent(1) as again:
                assert again.status == expected
            status, found = await client.said(2, call("bot__echo", 1))
            assert (status, "result" in found) == (expected, expected == 200)
            await client.initialize(1, ABLE)
        await busy.said(1, {"jsonrpc": "2.0", "id": question["id"], "result": ANSWER})
        await event(stream, "result")
    await ended_well(client.replicas[0])


async def test_a_call_beside_a_stream_ends_before_the_stream_does(client: ReplicaClient, server: AskingServer) -> None:
    async with client.sent(0, path=f"{PATH}/sse") as stream:
        endpoint = (await stream.content.readuntil(b"\n\n")).decode().splitlines()[1].removeprefix("data: ")
        assert (await client.said(1, call("bot__wait", 7), endpoint))[0] == 202
        await eventually(server.calls)
        client.replicas[0].stop()
        await eventually_unready(client.replicas[0])
        server.gate.set()
        assert (await event(stream, "result"))["id"] == 7
        await asyncio.wait_for(stream.read(), 10)
    await ended_well(client.replicas[0])


async def eventually_unready(process: GatewayProcess) -> None:
    async with asyncio.timeout(10):
        while (await process.probe())[0] != 503:  # noqa: ASYNC110 - a probe is asked
            await asyncio.sleep(0.01)


class Service:
    """What clients reach the replicas by: those that are not told to end."""

    def __init__(self, stack: AsyncExitStack, path: Path) -> None:
        self.replicas: list[GatewayProcess] = []
        self._stack = stack
        self._path = path
        self._turns = count()

    @property
    def url(self) -> str:
        return self.replicas[next(self._turns) % len(self.replicas)].url + PATH

    async def grow(self) -> None:
        self.replicas.append(await replica(self._stack, self._path, 10))

    async def roll(self) -> None:
        """Replace every replica, one after the other."""
        for old in tuple(self.replicas):
            await self.grow()
            self.replicas.remove(old)
            old.stop()
            await ended_well(old)


@pytest.mark.parametrize("is_modern", [True, False], ids=["modern", "legacy"])
async def test_a_client_that_goes_on_calling_notices_nothing_of_a_rolling_restart(
    tmp_path: Path, legacy_server: UpstreamServer, is_modern: bool
) -> None:
    async with AsyncExitStack() as stack:
        service = Service(stack, manifests(tmp_path, legacy_server.url))
        for _ in range(2):
            await service.grow()
        client = await stack.enter_async_context(aiohttp.ClientSession())
        headers = {"Authorization": f"Bearer {ALICE}", "Accept": "application/json, text/event-stream"}
        if is_modern:
            headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "bot__echo"}
        else:
            headers["Mcp-Session-Id"] = await begun(client, service.url, headers)
        rolling = asyncio.create_task(service.roll())
        made = 0
        while not rolling.done():
            message = call("bot__echo", made)
            message["params"] |= {"arguments": {"number": made}} | ({"_meta": META} if is_modern else {})
            async with client.post(service.url, json=message, headers=headers) as response:
                assert (response.status, "result" in await response.json()) == (200, True)
            made += 1
        await rolling
    numbers = [one.message["params"]["arguments"]["number"] for one in legacy_server.calls()]
    assert numbers == list(range(made))
    assert made > 10


async def begun(http: aiohttp.ClientSession, url: str, headers: Json) -> str:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    async with http.post(url, json={"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, headers=headers) as response:
        return response.headers["Mcp-Session-Id"]
