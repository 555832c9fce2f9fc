"""Traces: a client's goes on to the server, with our own spans in between where they are exported."""

import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from eventually import eventually
from gateway_process import GatewayProcess, gateway_process
from gateway_served import Serve
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, DAVE, SECRET, Manifest, by_entry, dump, entry, gateway, installation, pinned, tool
from span_collector import SpanCollector, attributes, span_collector
from wharfinger_mcp.resource_tool import MARK

OFFLINE = str(Path(__file__).parents[1] / "support/gateway_offline.py")
TRACE, SPAN, OTHER_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def parent(span: str = SPAN, flags: str = "01") -> str:
    return f"00-{TRACE}-{span}-{flags}"


def world(url: str, **spec: Any) -> list[Manifest]:
    return [
        *installation("bot", team="engineering", url=url),
        *installation("bridged", team="engineering", url=url, client_headers=False),
        *installation("docs", entry="docs", team="engineering", url=url, tools=[tool("read", _meta={MARK: "a://1"})]),
        entry("github"),
        gateway("tools", pinned("bot", prompts=["*"], resources=["*"]), pinned("bridged"), pinned("docs"), by_entry(), **spec),
    ]


def meta_of(server: UpstreamServer) -> dict[str, Any]:
    return dict(server.calls()[-1].message["params"].get("_meta", {}))


@pytest.fixture
def servers(legacy_server: UpstreamServer, modern_server: UpstreamServer) -> dict[str, UpstreamServer]:
    return {"legacy": legacy_server, "modern": modern_server}


@pytest.mark.requirement("OPS-6")
@pytest.mark.parametrize("modern", [True, False], ids=["modern-client", "legacy-client"])
@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("where", ["header", "meta"])
async def test_without_an_exporter_the_clients_context_goes_on_as_it_came_in_header_and_meta(
    serve: Serve, servers: dict[str, UpstreamServer], era: str, modern: bool, where: str
) -> None:
    server = servers[era]
    served = serve(world(server.url))
    alice = served.caller(ALICE)
    members = {"traceparent": parent(), "tracestate": "a=1"}
    params: Any = {"name": "bot__echo", "arguments": {}}
    headers = members if where == "header" else {}
    if modern:
        meta = META | (members if where == "meta" else {})
        sent = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": "tools/call", "Mcp_Name": "bot__echo"}
        answered = await alice.request("tools/call", params | {"_meta": meta}, **sent, **headers)
    else:
        await alice.initialize()
        answered = await alice.request("tools/call", params | ({"_meta": members} if where == "meta" else {}), **headers)
    assert answered.status == 200
    call = server.calls()[-1]
    assert (call.header("traceparent"), call.header("tracestate")) == ([parent()], ["a=1"])
    assert {name: meta_of(server)[name] for name in members} == members
    assert json.loads(served.audit[-1])["trace"] == TRACE


async def legacy_call(serve: Serve, server: UpstreamServer, meta: dict[str, Any], tool: str = "bot__echo", **headers: str) -> None:
    alice = serve(world(server.url)).caller(ALICE)
    await alice.initialize()
    assert (await alice.request("tools/call", {"name": tool, "arguments": {}, "_meta": meta}, **headers)).status == 200


@pytest.mark.requirement("OPS-6")
async def test_what_the_message_says_counts_before_what_its_http_request_says(serve: Serve, modern_server: UpstreamServer) -> None:
    await legacy_call(serve, modern_server, {"traceparent": parent(OTHER_SPAN)}, traceparent=parent())
    assert (modern_server.calls()[-1].header("traceparent"), meta_of(modern_server)["traceparent"]) == (
        [parent(OTHER_SPAN)],
        parent(OTHER_SPAN),
    )


@pytest.mark.requirement("OPS-6")
async def test_a_server_behind_the_bridge_is_told_in_meta_only(serve: Serve, modern_server: UpstreamServer) -> None:
    await legacy_call(serve, modern_server, {}, "bridged__echo", traceparent=parent())
    assert (modern_server.calls()[-1].header("traceparent"), meta_of(modern_server)["traceparent"]) == ([], parent())


@pytest.mark.requirement("OPS-6")
@pytest.mark.parametrize("bad", ["nonsense", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", "x" * 10_000])
async def test_a_malformed_context_harms_no_call_and_goes_no_further(serve: Serve, modern_server: UpstreamServer, bad: str) -> None:
    await legacy_call(serve, modern_server, {"traceparent": bad, "x/y": 1}, traceparent=bad, tracestate="a=1")
    assert bad not in repr(modern_server.requests)
    assert meta_of(modern_server)["x/y"] == 1


@pytest.mark.requirement("OPS-6")
async def test_without_a_context_nothing_is_added(serve: Serve, legacy_server: UpstreamServer) -> None:
    served = serve(world(legacy_server.url))
    await served.caller(ALICE).call("bot__echo")
    assert "trace" not in repr(legacy_server.requests)
    assert json.loads(served.audit[0])["trace"] is None


@pytest.mark.requirement("OPS-6")
@pytest.mark.parametrize("listed", [True, False])
async def test_baggage_goes_on_only_where_the_gateway_lists_it(serve: Serve, modern_server: UpstreamServer, listed: bool) -> None:
    served = serve(world(modern_server.url, headerPassthrough=["Baggage"] if listed else []))
    alice = served.caller(ALICE)
    await alice.initialize()
    params = {"name": "bot__echo", "arguments": {}, "_meta": {"baggage": "user=somebody", "traceparent": parent()}}
    assert (await alice.request("tools/call", params, baggage="user=somebody")).status == 200
    assert modern_server.calls()[-1].header("baggage") == (["user=somebody"] if listed else [])
    assert ("baggage" in meta_of(modern_server)) is listed
    assert ("somebody" in repr([(one.headers, one.message) for one in modern_server.calls()])) is listed
    assert modern_server.calls()[-1].header("traceparent") == [parent()]


class Traced:
    """A running gateway whose spans are exported, and its client."""

    def __init__(self, running: GatewayProcess, collector: SpanCollector, session: aiohttp.ClientSession) -> None:
        self.running = running
        self.collector = collector
        self.session = session

    async def call(self, name: str, token: str = ALICE, meta: dict[str, Any] | None = None, **headers: str) -> Any:
        params = {"name": name, "arguments": {"word": "planted-argument"}, "_meta": META | (meta or {})}
        return await self.request("tools/call", params, token, **{"Mcp-Name": name}, **headers)

    async def request(self, method: str, params: dict[str, Any], token: str = ALICE, **headers: str) -> Any:
        own = {"Authorization": f"Bearer {token}", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.session.post(f"{self.running.url}/v1/mcp/dev.tools", json=body, headers=own | headers) as response:
            return await response.json()

    async def spans(self, name: str) -> dict[str, Span]:
        """Wait for the span of a call, and return it and those below it by name."""
        await eventually(lambda: self.collector.named(name))
        (whole,) = [span for span in self.collector.named(name) if span.kind == Span.SPAN_KIND_SERVER]
        below = {one.name: one for one in self.collector.spans if one.parent_span_id == whole.span_id}
        return below | {"whole": whole}


@contextlib.asynccontextmanager
async def traced(path: Path, url: str, **variables: str) -> AsyncIterator[Traced]:
    path.write_text(dump(world(url)))  # noqa: ASYNC240 - before anything runs
    async with span_collector() as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "20", **variables}
        async with gateway_process([OFFLINE, str(path)], environment) as running, aiohttp.ClientSession() as session:
            await running.ready()
            yield Traced(running, collector, session)


@pytest.mark.requirement("OPS-6")
async def test_a_call_is_a_span_with_its_steps_below_it_and_the_server_is_below_ours(tmp_path: Path, modern_server: UpstreamServer) -> None:
    async with traced(tmp_path / "manifests", modern_server.url, OTEL_EXPORTER_OTLP_HEADERS="x-tenant=planted-header") as gate:
        await gate.call("bot__echo", traceparent=parent(), tracestate="a=1")
        spans = await gate.spans("tools/call bot__echo")
        whole, client = spans["whole"], spans["tools/call"]
        assert (whole.trace_id.hex(), whole.parent_span_id.hex(), whole.kind) == (TRACE, SPAN, Span.SPAN_KIND_SERVER)
        assert spans.keys() == {"whole", "route", "credential", "tools/call"}
        assert client.kind == Span.SPAN_KIND_CLIENT
        assert attributes(whole) == {
            "mcp.method.name": "tools/call", "gen_ai.tool.name": "bot__echo", "wharfinger.gateway": "dev.tools", "wharfinger.server": "github",
            "wharfinger.installation": "dev/bot", "wharfinger.chosen": "pinned", "wharfinger.outcome": "ok",
        }  # fmt: skip
        (call,) = modern_server.calls()
        told = f"00-{TRACE}-{client.span_id.hex()}-01"
        assert (call.header("traceparent"), call.header("tracestate"), call.message["params"]["_meta"]["traceparent"]) == (
            [told],
            ["a=1"],
            told,
        )
        steps = [spans[name] for name in ("route", "credential", "tools/call")]
        assert whole.start_time_unix_nano == steps[0].start_time_unix_nano
        for one, following in itertools.pairwise(steps):
            assert one.start_time_unix_nano <= one.end_time_unix_nano == following.start_time_unix_nano
        assert steps[-1].end_time_unix_nano <= whole.end_time_unix_nano
        assert gate.collector.resources[0]["service.name"] == "wharfinger-gateway"
        assert gate.collector.headers[0]["x-tenant"] == "planted-header"
        await eventually(lambda: len(gate.running.out) == 1)
        assert json.loads(gate.running.out[0])["trace"] == TRACE
        everything = b"".join(gate.collector.raw).decode(errors="replace") + "".join(gate.running.out + gate.running.err)
        for planted in ("planted-argument", "planted-header", SECRET, ALICE, "okta:alice"):
            assert planted not in everything.replace('"principal":"user okta:alice"', "")


@pytest.mark.requirement("OPS-6")
async def test_a_call_of_nobodys_trace_begins_one_and_a_refused_one_says_why(tmp_path: Path, modern_server: UpstreamServer) -> None:
    async with traced(tmp_path / "manifests", modern_server.url, OTEL_SERVICE_NAME="edge") as gate:
        await gate.call("github__echo", DAVE)
        spans = await gate.spans("tools/call github__echo")
        assert spans["whole"].parent_span_id == b""
        assert spans["whole"].status.code == Status.STATUS_CODE_ERROR
        assert attributes(spans["whole"])["error.type"] == "installation_needed"
        assert spans.keys() == {"whole", "route", "credential"}
        await gate.call("made-up-by-the-caller")
        await eventually(lambda: any(span.kind == Span.SPAN_KIND_SERVER for span in gate.collector.named("tools/call")))
        assert "made-up-by-the-caller" not in repr(gate.collector.spans)
        modern_server.behaviour["echo"] = 500
        await gate.call("bot__echo")
        spans = await gate.spans("tools/call bot__echo")
        assert attributes(spans["whole"])["error.type"] == "upstream_failed"
        assert gate.collector.resources[0]["service.name"] == "edge"


@pytest.mark.requirement("OPS-6")
@pytest.mark.parametrize(
    ("method", "params", "named"),
    [
        ("prompts/get", {"name": "bot__greet"}, {"Mcp-Name": "bot__greet"}),
        ("resources/read", {"uri": "a://1"}, {"Mcp-Name": "a://1"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "bot__greet"}, "argument": {"name": "x", "value": ""}}, {}),
    ],
)
async def test_a_request_for_anything_but_a_tool_is_a_span_of_its_own_method(
    tmp_path: Path, modern_server: UpstreamServer, method: str, params: dict[str, Any], named: dict[str, str]
) -> None:
    modern_server.lists = {"prompts/list": [{"name": "greet"}], "resources/list": [{"uri": "a://1", "name": "one"}]}
    async with traced(tmp_path / "manifests", modern_server.url) as gate:
        assert "result" in await gate.request(method, params | {"_meta": META}, **named)
        spans = await gate.spans(method)
        assert spans.keys() == {"whole", "route", "credential", method}
        assert spans[method].kind == Span.SPAN_KIND_CLIENT
        assert attributes(spans["whole"]) == {
            "mcp.method.name": method, "wharfinger.gateway": "dev.tools", "wharfinger.server": "github",
            "wharfinger.installation": "dev/bot", "wharfinger.chosen": "pinned", "wharfinger.outcome": "ok",
        }  # fmt: skip
        assert "tools/call" not in repr(gate.collector.spans)


@pytest.mark.requirement("OPS-6")
async def test_of_a_tool_that_stands_for_a_resource_the_servers_span_is_a_read(tmp_path: Path, modern_server: UpstreamServer) -> None:
    modern_server.behaviour["a://1"] = {"contents": [{"uri": "a://1", "text": "hello"}]}
    async with traced(tmp_path / "manifests", modern_server.url) as gate:
        assert not (await gate.call("docs__read"))["result"].get("isError")
        spans = await gate.spans("tools/call docs__read")
        assert spans.keys() == {"whole", "route", "credential", "resources/read"}


@pytest.mark.requirement("OPS-6")
async def test_what_the_client_does_not_record_is_not_recorded_here_and_goes_on_so(tmp_path: Path, modern_server: UpstreamServer) -> None:
    async with traced(tmp_path / "manifests", modern_server.url) as gate:
        await gate.call("bot__echo", traceparent=parent(flags="00"))
        assert modern_server.calls()[0].header("traceparent")[0].startswith(f"00-{TRACE}-")
        assert modern_server.calls()[0].header("traceparent")[0].endswith("-00")
        await gate.call("bot__get_me")
        await gate.spans("tools/call bot__get_me")
        assert gate.collector.named("tools/call bot__echo") == []


@pytest.mark.requirement("OPS-6")
async def test_spans_that_wait_are_sent_at_the_end_and_a_collector_that_is_gone_holds_up_neither_calls_nor_the_end(
    tmp_path: Path, modern_server: UpstreamServer
) -> None:
    async with traced(tmp_path / "manifests", modern_server.url, OTEL_BSP_SCHEDULE_DELAY="60000") as gate:
        await gate.call("bot__echo")
        gate.running.stop()
        assert await gate.running.ended() == 0
        assert len(gate.collector.named("tools/call bot__echo")) == 1
    gone = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    async with traced(tmp_path / "manifests", modern_server.url, **gone) as gate:
        assert "result" in await gate.call("bot__echo")
        gate.running.stop()
        assert await gate.running.ended(20) == 0


def test_who_exports_nothing_does_not_load_the_library() -> None:
    program = (
        "import sys, wharfinger_gateway.__main__; print([name for name in sys.modules if name.startswith(('opentelemetry', 'google'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
