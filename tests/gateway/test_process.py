"""The running program: SDK clients of both eras, HTTP's edges, probes, audit, the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from eventually import eventually
from gateway_process import GatewayProcess, gateway_process
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, DAVE, PUBLIC_URL, SECRET, by_entry, dump, entry, gateway, installation, pinned, tool
from raw_http import connect, exchange

OFFLINE = str(Path(__file__).parents[1] / "support/gateway_offline.py")
TOOLS = (tool("echo"), tool("wait"))


@pytest.fixture
async def running(tmp_path: Path, legacy_server: UpstreamServer, modern_server: UpstreamServer) -> AsyncIterator[GatewayProcess]:
    manifests = [
        *installation("old", team="engineering", url=legacy_server.url, tools=TOOLS),
        *installation("new", team="engineering", url=modern_server.url, tools=TOOLS),
        entry("github"),
        gateway("tools", pinned("old"), pinned("new"), by_entry(), limits={"callTimeout": "2s", "maxRequestBytes": "64Ki"}),
        gateway("slow", pinned("old")),
    ]
    path = tmp_path / "manifests"
    path.write_text(dump(manifests))
    async with gateway_process([OFFLINE, str(path)], {"WHARFINGER_DRAIN_SECONDS": "5"}) as process:
        await process.ready()
        yield process


def http_client(token: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=10)


def text_of(result: Any) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.requirement("GW-1", "GW-2")
@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
async def test_the_official_sdk_lists_and_calls_in_both_eras(
    running: GatewayProcess, mode: str, legacy_server: UpstreamServer, modern_server: UpstreamServer
) -> None:
    async with (
        http_client(ALICE) as http,
        Client(streamable_http_client(f"{running.url}/v1/mcp/dev.tools", http_client=http), mode=mode) as client,
    ):
        listed = await client.list_tools()
        assert [one.name for one in listed.tools] == ["github__echo", "github__wait", "new__echo", "new__wait", "old__echo", "old__wait"]
        for prefix in ("old", "new", "github"):
            result = await client.call_tool(f"{prefix}__echo", {"from": prefix})
            assert (result.is_error, json.loads(text_of(result))) == (False, {"from": prefix})
    assert len(legacy_server.calls()) + len(modern_server.calls()) == 3


@pytest.mark.requirement("GW-6")
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_official_sdk_shows_the_link_to_who_has_no_installation(running: GatewayProcess, mode: str) -> None:
    async with (
        http_client(DAVE) as http,
        Client(streamable_http_client(f"{running.url}/v1/mcp/dev.tools", http_client=http), mode=mode) as client,
    ):
        result = await client.call_tool("github__echo", {})
        assert result.is_error
        assert f"{PUBLIC_URL}/install/github" in text_of(result)


class Raw:
    """A modern client that sees HTTP."""

    def __init__(self, running: GatewayProcess, session: aiohttp.ClientSession, gateway: str = "dev.tools") -> None:
        self.url = f"{running.url}/v1/mcp/{gateway}"
        self.session = session

    async def call(self, name: str, **arguments: Any) -> tuple[int, Any]:
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
        params = {"name": name, "arguments": arguments, "_meta": meta}
        headers = {"Authorization": f"Bearer {ALICE}", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        async with self.session.post(self.url, json=body, headers=headers) as response:
            return response.status, await response.json()


@pytest.fixture
async def raw(running: GatewayProcess) -> AsyncIterator[Raw]:
    async with aiohttp.ClientSession() as session:
        yield Raw(running, session)


async def test_each_call_leaves_one_audit_record_without_arguments_and_counts(running: GatewayProcess, raw: Raw) -> None:
    await raw.call("old__echo", word="planted-argument")
    await raw.call("absent", word="planted-argument")
    await eventually(lambda: len(running.out) == 2)
    first, second = (json.loads(line) for line in running.out)
    assert first.keys() == second.keys()
    expected = {
        "audit": "call", "gateway": "dev.tools", "principal": "user okta:alice", "credential": "McpToken alice", "tool": "old__echo",
        "server_tool": "echo", "installation": "dev/old", "chosen": "pinned", "outcome": "ok",
    }  # fmt: skip
    assert {key: first[key] for key in expected} == expected
    assert 0 < first["overhead_ms"] < first["duration_ms"]
    assert (second["tool"], second["outcome"], second["installation"]) == ("absent", "tool_unknown", None)
    _, metrics = await running.probe("/metrics")
    assert 'wharfinger_gateway_calls_total{gateway="dev.tools",outcome="ok",server="github",tool="echo"} 1.0' in metrics
    assert 'wharfinger_gateway_refusals_total{reason="tool_unknown"} 1.0' in metrics
    assert 'wharfinger_gateway_overhead_seconds_bucket{le="5e-05"}' in metrics
    assert "wharfinger_gateway_connections 1.0" in metrics
    assert "wharfinger_gateway_sessions 1.0" in metrics
    assert 'wharfinger_gateway_upstream_connects_total{outcome="new"} 1.0' in metrics
    everything = metrics + "".join(running.out) + "".join(running.err)
    for planted in ("planted-argument", SECRET, ALICE):
        assert planted not in everything


async def test_a_call_that_takes_too_long_ends_with_the_gateways_limit(running: GatewayProcess, raw: Raw) -> None:
    async with asyncio.timeout(20):  # the limit is 2 s, and the default a minute
        status, message = await raw.call("old__wait")
    assert (status, message["result"]["isError"]) == (200, True)
    assert "did not answer in time" in message["result"]["content"][0]["text"]


@pytest.mark.parametrize("declared", [True, False], ids=["content-length", "chunked"])
async def test_a_body_above_the_limit_is_refused_however_it_is_sent(running: GatewayProcess, raw: Raw, declared: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"x" * 1024

    headers = {"Authorization": f"Bearer {ALICE}", "Content-Type": "application/json"}
    async with raw.session.post(raw.url, data=b"x" * 70 * 1024 if declared else pieces(), headers=headers) as response:
        assert response.status == 413
        assert (await response.json())["error"]["code"] == -32008


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /v1/mcp/dev.tools HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pla\0nted\r\n\r\n", 400),
        (b"\0\1\2\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"POST /v1/mcp/dev.tools HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (b"POST /v1/mcp/dev.tools HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nSMUGGLED", 400),
        (b"POST /v1/mcp/dev.tools HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer planted\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 431),
    ],
    ids=["control-character", "binary", "version", "two-lengths", "length-and-chunked", "long-header"],
)  # fmt: skip
async def test_http_that_is_none_is_refused_and_harms_nobody(running: GatewayProcess, raw: Raw, request_bytes: bytes, status: int) -> None:
    answered = await exchange(running.url, request_bytes)
    assert (answered.status, answered.headers["connection"]) == (status, "close")
    assert answered.body == b"This is no HTTP/1.1 request that is understood here.\n"
    assert (await raw.call("old__echo"))[0] == 200
    assert [line for line in running.err if "listening" not in line] == []


HEAD = f"POST /v1/mcp/dev.tools HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {ALICE}\r\nContent-Type: application/json\r\n".encode()


@pytest.mark.parametrize(
    "rest",
    [b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX"],
    ids=["no-chunk-size", "no-end-of-chunk"],
)
async def test_a_body_that_is_none_is_refused_and_ends_its_connection(running: GatewayProcess, raw: Raw, rest: bytes) -> None:
    answered = await exchange(running.url, HEAD + rest)
    assert (answered.status, answered.code, answered.headers["connection"]) == (400, -32700, "close")
    assert (await raw.call("old__echo"))[0] == 200
    assert [line for line in running.err if "listening" not in line] == []


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 100\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
    ids=["cut-off", "no-last-chunk"],
)
async def test_who_leaves_amid_a_body_is_answered_no_more_and_that_is_no_fault_of_ours(
    running: GatewayProcess, raw: Raw, rest: bytes
) -> None:
    reader, writer = await connect(running.url)
    writer.write(HEAD + rest)
    writer.write_eof()
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    assert (await raw.call("old__echo"))[0] == 200
    assert [line for line in running.err if "listening" not in line] == []


@pytest.mark.requirement("OPS-7")
async def test_sigterm_ends_readiness_and_new_connections_but_not_the_calls_under_way(
    running: GatewayProcess, raw: Raw, legacy_server: UpstreamServer
) -> None:
    raw.url = raw.url.replace("dev.tools", "dev.slow")
    call = asyncio.create_task(raw.call("old__wait"))
    await eventually(legacy_server.calls)
    assert (await running.probe("/readyz"))[0] == 200
    running.stop()

    async def accepts() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(running.url):
                return True
        except aiohttp.ClientConnectionError:
            return False

    async with asyncio.timeout(5):
        while await accepts():  # noqa: ASYNC110 - a listening socket tells nobody that it closes
            await asyncio.sleep(0.02)
    assert (await running.probe("/readyz"))[0] == 503
    assert (await running.probe("/livez"))[0] == 200
    legacy_server.gate.set()
    assert (await call)[0] == 200
    assert await running.ended() == 0
    assert len([line for line in running.out if '"outcome":"ok"' in line]) == 1


async def test_a_call_beyond_the_drain_time_does_not_hold_the_process(
    running: GatewayProcess, raw: Raw, legacy_server: UpstreamServer
) -> None:
    raw.url = raw.url.replace("dev.tools", "dev.slow")
    call = asyncio.create_task(raw.call("old__wait"))
    await eventually(legacy_server.calls)
    running.stop()
    assert await running.ended(9) == 0  # the drain time is 5 s
    with pytest.raises(aiohttp.ClientError):
        await call


async def test_probes_answer_and_nothing_else_does(running: GatewayProcess) -> None:
    assert [(await running.probe(path))[0] for path in ("/livez", "/readyz", "/metrics", "/v1/mcp/dev.tools", "/")] == [
        200,
        200,
        200,
        404,
        404,
    ]
