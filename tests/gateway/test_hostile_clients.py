"""A hostile case for each rule of the wire, sent byte by byte to the running program: the exact status and error code.

Whatever is sent, the program goes on, says nothing of it in its log, and serves the others.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from eventually import eventually
from gateway_process import GatewayProcess, gateway_process
from gateway_upstream import UpstreamServer, upstream_server
from gateway_world import dump, gateway, installation, pinned, tool
from hostile_bodies import BATCHES, BODIES, PING
from hostile_headers import BASE, HEADERS, PATH, REQUESTS, changed
from hostile_modern import LISTING, MODERN_CASES, NAMED, calling, listing
from raw_http import Fields, RawAnswer, answer, connect, exchange, request, rpc, text

OFFLINE = str(Path(__file__).parents[1] / "support/gateway_offline.py")
LIMIT = 64 * 1024
ANNOTATED = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.requirement("GW-4", "GW-12")]


@dataclass(frozen=True)
class Target:
    """The program under attack, and what its clients have of it."""

    process: GatewayProcess
    server: UpstreamServer
    sessions: dict[str, str]
    """Ids of legacy sessions, by revision."""

    async def sent(self, bytes_: bytes) -> RawAnswer:
        return await exchange(self.process.url, bytes_)


def post(fields: Fields, body: bytes) -> bytes:
    return request("POST", PATH, fields, body)


async def begun(process: GatewayProcess, version: str) -> str:
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    answered = await exchange(process.url, post(BASE, text(rpc("initialize", params))))
    return answered.headers["mcp-session-id"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    async with upstream_server("legacy") as server:
        path = tmp_path_factory.mktemp("hostile") / "manifests"
        tools = [tool("echo"), tool("wait"), tool("placed", inputSchema=ANNOTATED)]
        path.write_text(
            dump(
                [
                    *installation("bot", team="engineering", url=server.url, tools=tools),
                    gateway("tools", pinned("bot"), limits={"maxRequestBytes": "64Ki"}),
                ]
            )
        )
        async with gateway_process([OFFLINE, str(path)]) as process:
            await process.ready()
            sessions = {version: await begun(process, version) for version in ("2025-11-25", "2025-06-18", "2025-03-26")}
            yield Target(process, server, sessions)
            assert process.process.returncode is None
            assert [line for line in process.err if "listening" not in line] == []


@pytest.mark.parametrize("case", BODIES)
async def test_a_hostile_body_in_a_session(target: Target, case: str) -> None:
    body, status, code = BODIES[case]
    session: Fields = [("Mcp-Session-Id", target.sessions["2025-11-25"]), ("MCP-Protocol-Version", "2025-11-25")]
    answered = await target.sent(post(BASE + session, body))
    assert (answered.status, answered.code) == (status, code), answered.body


@pytest.mark.parametrize("case", HEADERS)
async def test_hostile_header_fields_of_a_legacy_request(target: Target, case: str) -> None:
    fields, status, code = HEADERS[case]
    answered = await target.sent(post(fields(target.sessions), PING))
    assert (answered.status, answered.code) == (status, code), answered.body


@pytest.mark.parametrize("case", BATCHES)
async def test_a_hostile_batch_in_the_revision_that_has_them(target: Target, case: str) -> None:
    batch, status, code = BATCHES[case]
    answered = await target.sent(post([*BASE, ("Mcp-Session-Id", target.sessions["2025-03-26"])], text(batch)))
    assert (answered.status, answered.code) == (status, code), answered.body


@pytest.mark.parametrize("case", MODERN_CASES)
async def test_a_hostile_request_of_the_newest_revision(target: Target, case: str) -> None:
    fields, body, status, code = MODERN_CASES[case]
    answered = await target.sent(post(BASE + fields, body))
    assert (answered.status, answered.code) == (status, code), answered.body


@pytest.mark.parametrize("case", REQUESTS)
async def test_a_hostile_request_line(target: Target, case: str) -> None:
    verb, path, fields, status, code = REQUESTS[case]
    answered = await target.sent(request(verb, path, fields, PING if verb == "POST" else b""))
    assert (answered.status, answered.code) == (status, code), answered.body


def chunked(size: int) -> bytes:
    return b"".join(b"400\r\n" + b"x" * 1024 + b"\r\n" for _ in range(size // 1024)) + b"0\r\n\r\n"


OVERSIZE: dict[str, bytes] = {
    "by its length": post(BASE, b"x" * (LIMIT + 1)),
    "in pieces": post([*BASE, ("Transfer-Encoding", "chunked")], chunked(2 * LIMIT)),
    "by an argument": post(BASE + NAMED, calling(arguments={"x": "y" * LIMIT})),
}


@pytest.mark.parametrize("case", OVERSIZE)
async def test_a_body_beyond_the_limit(target: Target, case: str) -> None:
    answered = await target.sent(OVERSIZE[case])
    assert (answered.status, answered.code) == (413, -32008)


async def test_a_session_that_was_ended_is_none_any_more(target: Target) -> None:
    fields = [*BASE, ("Mcp-Session-Id", await begun(target.process, "2025-11-25"))]
    assert (await target.sent(request("DELETE", PATH, fields, b""))).status == 204
    for verb, body in (("POST", PING), ("GET", b""), ("DELETE", b"")):
        answered = await target.sent(request(verb, PATH, fields, body))
        assert (answered.status, answered.code) == (404, -32001)


async def test_an_id_that_is_under_way_in_the_session_is_refused_and_the_first_call_goes_on(target: Target) -> None:
    fields = [*BASE, ("Mcp-Session-Id", target.sessions["2025-11-25"])]
    first = asyncio.create_task(target.sent(post(fields, text(rpc("tools/call", {"name": "bot__wait", "arguments": {}}, "x")))))
    await eventually(lambda: any(one.message["params"]["name"] == "wait" for one in target.server.calls()))
    second = await target.sent(post(fields, text(rpc("tools/call", {"name": "bot__echo", "arguments": {}}, "x"))))
    assert (second.status, second.code, second.message["id"]) == (200, -32600, "x")
    target.server.gate.set()
    assert "result" in (await first).message


async def test_a_stream_of_a_session_that_is_not_wanted_as_one_is_none(target: Target) -> None:
    fields = [*changed(BASE, Accept="application/json"), ("Mcp-Session-Id", target.sessions["2025-11-25"])]
    answered = await target.sent(request("GET", PATH, fields, b""))
    assert (answered.status, answered.code) == (406, -32006)


async def event(reader: asyncio.StreamReader) -> str:
    """Return the data of the next event of a stream."""
    async with asyncio.timeout(20):
        while not (line := await reader.readline()).startswith(b"data: "):
            assert line
    return line.removeprefix(b"data: ").decode().strip()


async def test_hostile_messages_beside_a_stream(target: Target) -> None:
    reader, writer = await connect(target.process.url)
    writer.write(request("GET", f"{PATH}/sse", BASE, b""))
    endpoint = await event(reader)

    async def posted(body: bytes) -> tuple[int, int | None]:
        answered = await target.sent(request("POST", endpoint, BASE, body))
        return answered.status, answered.code

    assert await posted(b"x" * (LIMIT + 1)) == (413, -32008)
    for batch in ([], [rpc("ping"), rpc("ping")], [rpc("ping"), 5], [rpc("ping", None, n) for n in range(51)]):
        assert await posted(text(batch)) == (400, -32600)
    for body in (b"{", b"\xff"):
        assert await posted(body) == (400, -32700)
    before = len(target.server.calls())
    target.server.gate.clear()
    assert await posted(text(rpc("tools/call", {"name": "bot__wait", "arguments": {}}, "x"))) == (202, None)
    await eventually(lambda: len(target.server.calls()) == before + 1)
    assert await posted(text(rpc("tools/call", {"name": "bot__echo", "arguments": {}}, "x"))) == (202, None)
    refused = json.loads(await event(reader))
    assert (refused["id"], refused["error"]["code"]) == ("x", -32600)
    target.server.gate.set()
    first = json.loads(await event(reader))
    assert (first["id"], "result" in first, len(target.server.calls())) == ("x", True, before + 1)
    writer.transport.abort()


HALF = post(BASE + NAMED, calling())
STALLING: dict[str, bytes] = {
    "a head that never ends": HALF[:60],
    "a body that never ends": HALF[:-10],
    "a length that nothing follows": post([*BASE, ("Content-Length", str(LIMIT))], b""),
    "a chunk that never ends": post([*BASE, ("Transfer-Encoding", "chunked")], b"ffff\r\nx"),
    "requests whose answers nobody reads": post(BASE + LISTING, listing()) * 200,
}


@pytest.mark.parametrize("case", STALLING)
async def test_fifty_clients_that_stall_hold_up_nobody(target: Target, case: str) -> None:
    stalling = [await connect(target.process.url) for _ in range(50)]
    try:
        for _, writer in stalling:
            writer.write(STALLING[case])
        for number in range(5):
            answered = await target.sent(post(BASE + NAMED, calling(arguments={"number": number})))
            assert answered.message["result"]["content"][0]["text"] == json.dumps({"number": number})
        assert not any(reader.at_eof() for reader, _ in stalling)
    finally:
        for _, writer in stalling:
            writer.transport.abort()


async def test_after_all_of_that_requests_on_one_connection_are_answered_in_their_order(target: Target) -> None:
    reader, writer = await connect(target.process.url)
    try:
        for number in range(20):
            writer.write(post(BASE + NAMED, calling(arguments={"number": number})))
        async with asyncio.timeout(20):
            for number in range(20):
                answered = await answer(reader)
                assert answered.message["result"]["content"][0]["text"] == json.dumps({"number": number})
    finally:
        writer.transport.abort()
