"""What one caller may take of a gateway, and that nobody else notices when he wants more."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from eventually import eventually
from gateway_caller import Answered, Caller
from gateway_process import GatewayProcess, gateway_process
from gateway_served import Serve
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, BOB, ENGINEERING, Manifest, dump, gateway, installation, pinned, text_of, token, tool
from http_sse_client import Sse
from wharfinger_gateway.limits import Buckets

OFFLINE = str(Path(__file__).parents[1] / "support/gateway_offline.py")
ALICE_TOO = text_of("alicetoo")
KEY = ("dev.tools", "user okta:alice")


def world(url: str, **limits: int) -> list[Manifest]:
    return [
        *installation("bot", team="engineering", url=url, tools=(tool("echo"), tool("wait"))),
        gateway("tools", pinned("bot"), limits=limits),
        gateway("other", pinned("bot"), limits=limits),
        token("alice-too", ALICE_TOO, user="okta:alice"),
    ]


def seen(answered: Answered) -> tuple[int, int, str | None]:
    return answered.status, answered.error["code"], answered.reply.headers.get("Retry-After")


def test_a_bucket_holds_a_minutes_worth_and_fills_evenly() -> None:
    buckets = Buckets()
    assert [buckets.take(KEY, 3, 1, 1000.0) for _ in range(3)] == [0.0] * 3
    assert buckets.take(KEY, 3, 1, 1000.0) == pytest.approx(20.0, abs=0.001)
    assert buckets.take(KEY, 3, 1, 1019.9) == pytest.approx(0.1, abs=0.001)
    assert buckets.take(KEY, 3, 1, 1020.0) == 0.0
    assert buckets.take(KEY, 3, 1, 1020.0) > 0
    assert [buckets.take(KEY, 3, 1, 2000.0) for _ in range(3)] == [0.0] * 3


@given(st.integers(1, 1_000_000), st.lists(st.tuples(st.floats(0, 30), st.integers(1, 3)), min_size=1, max_size=60))
def test_in_no_time_more_is_granted_than_a_minutes_worth_and_what_fills_in_that_time(allowed: int, asked: list[tuple[float, int]]) -> None:
    buckets, now, granted = Buckets(), 5000.0, list[tuple[float, int]]()
    for pause, count in asked:
        now += pause
        if buckets.take(KEY, allowed, count, now) == 0:
            granted.append((now, count))
    for first, last in itertools.combinations_with_replacement(range(len(granted)), 2):
        taken = sum(count for _, count in granted[first : last + 1])
        assert taken <= allowed + allowed * (granted[last][0] - granted[first][0]) / 60 + 0.1


@given(st.integers(1, 1_000_000))
def test_a_whole_minutes_worth_is_granted_at_once(allowed: int) -> None:
    buckets = Buckets()
    assert buckets.take(KEY, allowed, allowed, 5e6) == 0.0
    assert buckets.take(KEY, allowed, 1, 5e6) > 0


def test_the_callers_that_are_kept_are_bounded() -> None:
    buckets = Buckets(callers=10)
    for number in range(1000):
        assert buckets.take(("dev.tools", str(number)), 1, 1, 0.0) == 0.0
    assert len(buckets) == 10
    assert buckets.take(("dev.tools", "999"), 1, 1, 0.0) > 0


@pytest.mark.requirement("GW-12")
@pytest.mark.parametrize("modern", [True, False], ids=["modern", "legacy"])
async def test_requests_beyond_the_limit_are_429_until_the_bucket_fills_and_only_for_this_caller_here(
    serve: Serve, modern_server: UpstreamServer, modern: bool
) -> None:
    served = serve(world(modern_server.url, requestsPerMinute=2))
    alice = served.caller(ALICE)
    ask = alice.modern if modern else alice.request
    if not modern:
        await alice.initialize()
    else:
        assert (await ask("tools/list")).status == 200
    assert (await ask("tools/list")).status == 200
    refused = await ask("tools/list")
    assert (refused.status, refused.message) == (
        429,
        {
            "jsonrpc": "2.0",
            "id": None,
            "error": {"code": -32010, "message": "Too many requests: this gateway lets you send 2 a minute. Try again in 30 s."},
        },
    )
    assert refused.reply.headers["Retry-After"] == "30"
    assert (await served.caller(ALICE_TOO).modern("tools/list")).status == 429, "another token of the same user"
    for token_text, gateway_id in ((BOB, "dev.tools"), (ENGINEERING, "dev.tools"), (ALICE, "dev.other")):
        assert (await served.caller(token_text, gateway_id).modern("tools/list")).status == 200
    assert 'wharfinger_gateway_refusals_total{reason="rate_exceeded"} 2.0' in generate_latest(served.telemetry.registry).decode()


@pytest.mark.requirement("GW-12")
async def test_a_refused_body_is_not_read(serve: Serve) -> None:
    alice = serve(world("http://192.0.2.1:9/mcp", requestsPerMinute=1)).caller(ALICE)
    assert (await alice.send(b"{")).status == 400
    assert (await alice.send(b"{")).status == 429
    assert (await alice.send(b"", verb="DELETE")).status == 429


@pytest.mark.requirement("GW-12")
async def test_who_may_not_come_in_takes_nothing_from_who_may(serve: Serve) -> None:
    served = serve(world("http://192.0.2.1:9/mcp", requestsPerMinute=1))
    for _ in range(5):
        assert (await served.caller(text_of("nobody")).modern("tools/list")).status == 401
    assert (await served.caller(ALICE).modern("tools/list")).status == 200


@pytest.mark.requirement("GW-12")
async def test_a_batch_counts_as_what_is_in_it(serve: Serve) -> None:
    alice = serve(world("http://192.0.2.1:9/mcp", requestsPerMinute=6)).caller(ALICE)
    await alice.initialize("2025-03-26")

    def batch(size: int) -> bytes:
        return json.dumps([{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(size)]).encode()

    assert (await alice.send(batch(4))).status == 200
    assert seen(await alice.send(batch(2)))[:2] == (429, -32010)


@pytest.mark.requirement("GW-12")
async def test_a_batch_beside_a_stream_counts_as_what_is_in_it(serve: Serve) -> None:
    client = Sse(serve(world("http://192.0.2.1:9/mcp", requestsPerMinute=6)).caller(ALICE))
    await client.open()
    batches = [[{"jsonrpc": "2.0", "id": f"{size}-{number}", "method": "ping"} for number in range(size)] for size in (4, 2)]
    assert [await client.post(batch) for batch in batches] == [202, 429]
    await eventually(lambda: client.answers("4-3"))
    assert not client.answers("2-0"), "of a batch that is refused nothing is carried out"


async def waiting(caller: Caller, server: UpstreamServer, count: int) -> list[asyncio.Task[Answered]]:
    """Let calls wait in a server."""
    before = len(server.calls())
    tasks = [asyncio.create_task(caller.call("bot__wait", modern=True)) for _ in range(count)]
    await eventually(lambda: len(server.calls()) == before + count)
    return tasks


@pytest.mark.requirement("GW-12")
@pytest.mark.parametrize("modern", [True, False], ids=["modern", "legacy"])
async def test_calls_beyond_the_limit_are_429_with_their_id_until_one_ends(
    serve: Serve, modern_server: UpstreamServer, modern: bool
) -> None:
    served = serve(world(modern_server.url, concurrentCalls=2))
    alice = served.caller(ALICE)
    tasks = await waiting(alice, modern_server, 2)
    params = {"name": "bot__echo", "arguments": {"word": "planted"}}
    if not modern:
        await alice.initialize()
    refused = await (alice.modern if modern else alice.request)("tools/call", params, id_="seven")
    message = "Too many calls: this gateway carries out for you 2 at a time. The call was not carried out; try again when one has ended."
    assert refused.message == {"jsonrpc": "2.0", "id": "seven", "error": {"code": -32011, "message": message}}
    assert (refused.status, refused.reply.headers["Retry-After"]) == (429, "1")
    assert (await alice.modern("tools/list")).status == 200, "lists are no calls"
    assert (await served.caller(BOB).call("bot__echo", modern=True)).status == 200
    assert (await served.caller(ALICE, "dev.other").call("bot__echo", modern=True)).status == 200
    modern_server.gate.set()
    assert [(await task).status for task in tasks] == [200, 200]
    for failing in (False, True, False):
        modern_server.behaviour = {"echo": 500} if failing else {}
        assert (await alice.call("bot__echo", modern=True)).status == 200
    record = json.loads(served.audit[0])
    assert (record["outcome"], record["tool"], record["installation"]) == ("calls_exceeded", "bot__echo", None)
    assert 'refusals_total{reason="calls_exceeded"} 1.0' in generate_latest(served.telemetry.registry).decode()


@pytest.mark.requirement("GW-12")
async def test_in_a_batch_the_calls_within_the_limit_are_carried_out(serve: Serve, modern_server: UpstreamServer) -> None:
    alice = serve(world(modern_server.url, concurrentCalls=1)).caller(ALICE)
    await alice.initialize("2025-03-26")
    calls = [{"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "bot__echo"}} for number in range(3)]
    answered = await alice.send(json.dumps(calls).encode())
    assert answered.status == 200
    assert ["result" in one or one["error"]["code"] for one in answered.message] == [True, -32011, -32011]


@pytest.fixture
async def running(tmp_path: Path, modern_server: UpstreamServer) -> AsyncIterator[GatewayProcess]:
    path = tmp_path / "manifests"
    path.write_text(dump(world(modern_server.url, requestsPerMinute=50, concurrentCalls=2)))
    async with gateway_process([OFFLINE, str(path)]) as process:
        await process.ready()
        yield process


async def call(session: aiohttp.ClientSession, running: GatewayProcess, token_text: str, name: str) -> tuple[int, Any]:
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    headers = {"Authorization": f"Bearer {token_text}", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {}, "_meta": meta}}
    async with session.post(f"{running.url}/v1/mcp/dev.tools", json=body, headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.requirement("GW-12")
async def test_one_callers_excess_refuses_nobody_else_on_a_running_gateway(running: GatewayProcess, modern_server: UpstreamServer) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        held = [asyncio.create_task(call(session, running, ALICE, "bot__wait")) for _ in range(2)]
        await eventually(lambda: len(modern_server.calls()) == 2)
        flood = [asyncio.create_task(call(session, running, ALICE, "bot__echo")) for _ in range(300)]
        theirs = [await call(session, running, BOB, "bot__echo") for _ in range(40)]
        assert [(status, "result" in message) for status, message in theirs] == [(200, True)] * 40
        refused = await asyncio.gather(*flood)
        assert {status for status, _ in refused} == {429}
        assert {message["error"]["code"] for _, message in refused} == {-32010, -32011}
        modern_server.gate.set()
        assert {status for status, _ in await asyncio.gather(*held)} == {200}
    assert len(modern_server.calls()) == 42, "what was refused reached no server"
