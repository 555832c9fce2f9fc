"""The gateway's client and a bridge with a server a session."""

import asyncio
import os
from collections.abc import AsyncIterator

import msgspec
import pytest

from bridge_process import TOKEN, Bridge, Start, until
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.envelope import Era, Identity
from wharfinger_mcp.errors import UpstreamError
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import raw_json
from wharfinger_mcp.upstream import Upstream

CREDENTIAL = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    http_client = HttpClient()
    yield http_client
    await http_client.close()


def upstream(client: HttpClient, bridge: Bridge) -> Upstream:
    return Upstream(client, parse_endpoint(f"{bridge.url}/mcp"), Identity("wharfinger", "0.1.0"))


async def pid_of(one: Upstream) -> int:
    response = await one.call("tools/call", {"name": raw_json("process"), "arguments": raw_json({})}, CREDENTIAL)
    assert response.error is None and response.result is not None
    pid: int = msgspec.json.decode(msgspec.json.decode(response.result["content"])[0]["text"])["pid"]
    return pid


@pytest.mark.requirement("ORC-2")
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_each_principal_has_a_process_of_its_own_and_keeps_it(start: Start, client: HttpClient, era: str) -> None:
    bridge = await start("--era", era, options=("--max-sessions", "3"))
    alice, bob = upstream(client, bridge), upstream(client, bridge)

    assert (await alice.open(CREDENTIAL)).era is Era.LEGACY
    pids = await asyncio.gather(pid_of(alice), pid_of(bob))

    assert pids[0] != pids[1]
    assert await asyncio.gather(pid_of(alice), pid_of(bob)) == pids


@pytest.mark.requirement("ORC-2")
async def test_after_its_process_died_a_principal_begins_anew_and_the_call_is_sent_once(start: Start, client: HttpClient) -> None:
    bridge = await start(options=("--max-sessions", "3"))
    alice = upstream(client, bridge)
    pid = await pid_of(alice)
    lost = await alice.call("tools/call", {"name": raw_json("exit"), "arguments": raw_json({"code": 3})}, CREDENTIAL)
    assert lost.error is not None

    async def is_back() -> bool:
        try:
            return await pid_of(alice) != pid
        except UpstreamError:
            return False  # the process is being taken away

    await until(is_back)


@pytest.mark.requirement("ORC-2")
async def test_a_session_that_the_gateway_closes_ends_its_process(start: Start, client: HttpClient) -> None:
    bridge = await start(options=("--max-sessions", "3"))
    alice = upstream(client, bridge)
    pid = await pid_of(alice)

    await alice.close(CREDENTIAL)

    async def is_gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await until(is_gone)
