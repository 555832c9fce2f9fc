"""Headers of the client that a gateway lets through: to HTTP servers, beside what the connection sets, and to nobody else."""

import json
from typing import Any

import pytest
from multidict import CIMultiDict

from gateway_caller import MODERN, Caller, Recorder
from gateway_served import Serve, Served
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, BOB, ENGINEERING, SECRET, Manifest, gateway, installation, pinned, snapshot_of
from wharfinger_crds.connection import Connection, read_connection
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.client_headers import MAX_CHARS, let_through
from wharfinger_gateway.incoming import Incoming
from wharfinger_gateway.principal import Principal
from wharfinger_gateway.refusals import Refusal
from wharfinger_gateway.snapshot import Gateway, Snapshot

LISTED = ["X-Correlation-Id", "x-tenant", "x-site"]
FORBIDDEN = [
    "Authorization", "cookie", "HOST", "Proxy-Authorization", "x-forwarded-for", "X-Forwarded-Proto", "Forwarded", "mcp-session-id",
    "MCP-Protocol-Version", "Mcp-Param-Region", "content-length", "Content-Type", "content-encoding", "connection", "keep-alive", "te", "trailer",
    "Transfer-Encoding", "upgrade", "expect", "accept", "accept-encoding", "last-event-id",
]  # fmt: skip


def world(server: UpstreamServer, listed: list[str] | None = None, **options: Any) -> list[Manifest]:
    named = LISTED if listed is None else listed
    return [
        *installation("bot", team="engineering", url=server.url, **options),
        gateway("tools", pinned("bot"), headerPassthrough=named),
        gateway("other", pinned("bot")),
    ]


async def echo(caller: Caller, modern: bool = True, /, **headers: str) -> None:
    params = {"name": "bot__echo", "arguments": {}}
    if not modern and caller.session is None:
        await caller.initialize()
    answered = await (caller.modern("tools/call", params, **headers) if modern else caller.request("tools/call", params, **headers))
    assert (answered.status, "result" in answered.message) == (200, True), answered


@pytest.mark.requirement("GW-8")
@pytest.mark.parametrize("modern", [True, False], ids=["modern-client", "legacy-client"])
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_listed_headers_reach_an_http_server_in_any_case_and_no_others(
    serve: Serve, legacy_server: UpstreamServer, modern_server: UpstreamServer, era: str, modern: bool
) -> None:
    server = legacy_server if era == "legacy" else modern_server
    await echo(serve(world(server)).caller(ALICE), modern, x_correlation_id=" c-1\t", X_TENANT="acme", X_Other="smuggled")
    (call,) = server.calls()
    assert (call.header("x-correlation-id"), call.header("x-tenant")) == (["c-1"], ["acme"])
    assert "smuggled" not in repr(server.requests)


@pytest.mark.requirement("GW-8")
@pytest.mark.parametrize("name", ["X_Site", "x_site", "X_SITE"])
async def test_what_the_connection_sets_wins_in_any_case_and_stands_there_once(
    serve: Serve, modern_server: UpstreamServer, name: str
) -> None:
    await echo(serve(world(modern_server)).caller(ALICE), **{name: "the-caller-s"})
    (call,) = modern_server.calls()
    assert (call.header("x-site"), call.header("authorization")) == (["bot"], [f"Bearer {SECRET}"])


@pytest.mark.requirement("GW-8")
async def test_a_server_behind_the_stdio_bridge_gets_none(serve: Serve, modern_server: UpstreamServer) -> None:
    await echo(serve(world(modern_server, client_headers=False)).caller(ALICE), X_Tenant="acme")
    assert "acme" not in repr(modern_server.requests)


@pytest.mark.requirement("GW-8")
async def test_a_gateway_that_lists_none_passes_none(serve: Serve, modern_server: UpstreamServer) -> None:
    await echo(serve(world(modern_server)).caller(ALICE, "dev.other"), X_Tenant="acme")
    assert "acme" not in repr(modern_server.requests)


@pytest.mark.requirement("GW-8", "GW-7")
@pytest.mark.parametrize("name", FORBIDDEN)
async def test_a_forbidden_name_that_got_past_the_api_server_is_not_let_through(
    serve: Serve, modern_server: UpstreamServer, name: str
) -> None:
    served = serve(world(modern_server, [name, "x-tenant"]))
    value = "identity" if name.lower() in ("content-encoding", "accept-encoding") else "smuggled"
    own = {"Authorization", "Content-Type", "accept", "MCP-Protocol-Version"}
    extra = {} if name in own else {name.replace("-", "_"): value}
    await echo(served.caller(ALICE), X_Tenant="acme", **extra)
    (call,) = modern_server.calls()
    assert call.header("x-tenant") == ["acme"]
    assert "smuggled" not in repr(call.headers)
    assert ALICE not in repr(call.headers)
    assert snapshot_of(world(modern_server, [name])).gateways["dev.tools"].client_headers == ()


def test_names_count_once_in_lower_case() -> None:
    assert let_through(["X-B", "x-b", "x-a"]) == ("x-a", "x-b")


async def sent(served: Served, *fields: tuple[str, str], gateway_id: str = "dev.tools") -> tuple[int, Any]:
    """Send a tools/call with these header fields beside the usual ones, and return status and message."""
    usual = {
        "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": f"Bearer {ALICE}",
        "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "bot__echo",
    }  # fmt: skip
    meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
    params = {"name": "bot__echo", "arguments": {}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()

    async def read(limit: int) -> bytes | Refusal:
        return body

    reply = await served.pipeline.serve(Incoming("POST", f"/v1/mcp/{gateway_id}", CIMultiDict([*usual.items(), *fields]), read, Recorder()))
    return reply.status, json.loads(reply.body)


@pytest.mark.requirement("GW-8")
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ([("x-tenant", "a"), ("X-Tenant", "b")], "x-tenant is sent 2 times"),
        ([("x-tenant", "a\r\nAuthorization: Bearer planted")], "x-tenant has characters other than visible ASCII"),
        ([("x-tenant", "a\nplanted")], "x-tenant has characters other than visible ASCII"),
        ([("x-tenant", "a\0planted")], "x-tenant has characters other than visible ASCII"),
        ([("x-tenant", "plantéd")], "x-tenant has characters other than visible ASCII"),
        ([("x-tenant", "\udcffplanted")], "x-tenant has characters other than visible ASCII"),
        ([("x-tenant", "planted" * MAX_CHARS)], f"x-tenant have more than {MAX_CHARS} characters"),
        ([("x-tenant", "p" * MAX_CHARS), ("x-correlation-id", "x")], f"x-correlation-id, x-tenant have more than {MAX_CHARS} characters"),
    ],
    ids=["twice", "line-break", "line-feed", "nul", "latin-1", "surrogate", "long", "long-together"],
)
async def test_a_listed_header_that_cannot_be_passed_on_refuses_the_request_and_repeats_no_value(
    serve: Serve, modern_server: UpstreamServer, fields: list[tuple[str, str]], says: str
) -> None:
    served = serve(world(modern_server))
    status, message = await sent(served, *fields)
    error = {"code": -32600, "message": f"A header that this gateway passes on cannot be: {says}"}
    assert (status, message) == (400, {"jsonrpc": "2.0", "id": None, "error": error})
    assert modern_server.requests == []
    assert (await sent(served, *fields, gateway_id="dev.other"))[0] == 200


@pytest.mark.requirement("GW-8")
@pytest.mark.parametrize("value", ["x-tenant", "close, X-Tenant", "keep-alive ,x-tenant,"])
async def test_a_header_that_the_client_s_connection_header_names_goes_no_further(
    serve: Serve, modern_server: UpstreamServer, value: str
) -> None:
    served = serve(world(modern_server))
    assert (await sent(served, ("Connection", value), ("x-tenant", "hop"), ("x-correlation-id", "c-1")))[0] == 200
    (call,) = modern_server.calls()
    assert (call.header("x-tenant"), call.header("x-correlation-id"), call.header("connection")) == ([], ["c-1"], [])


@pytest.mark.requirement("GW-8")
async def test_a_session_is_made_without_them_and_each_call_carries_its_own(serve: Serve, legacy_server: UpstreamServer) -> None:
    served = serve(world(legacy_server))
    for token, tenant in ((ENGINEERING, "first"), (ENGINEERING, "second"), (BOB, "third")):
        await echo(served.caller(token), X_Tenant=tenant)
    await echo(served.caller(ENGINEERING))
    assert [one.header("x-tenant") for one in legacy_server.calls()] == [["first"], ["second"], ["third"], []]
    assert [one.header("x-tenant") for one in legacy_server.requests if one.method != "tools/call"] == [[]] * 6
    legacy_server.forget_sessions()
    await echo(served.caller(ENGINEERING), X_Tenant="after")
    *_, again, call = legacy_server.requests
    assert (again.method, again.header("x-tenant"), call.header("x-tenant")) == ("notifications/initialized", [], ["after"])


def test_a_connection_of_an_operator_that_does_not_say_takes_none() -> None:
    said = Connection(namespace="a", name="b", uid="c", entry="d", environment="e", url="http://x/mcp", client_headers=True)
    assert read_connection(said.text()).client_headers
    assert not read_connection(said.text().replace("clientHeaders", "later")).client_headers


def test_a_permit_shows_no_value() -> None:
    permit = Permit(Principal("organization", None, frozenset(), ""), gateway_of(), Snapshot("", b""), {"x-tenant": "planted"})
    assert "planted" not in repr(permit)


def gateway_of() -> Gateway:
    return snapshot_of(gateway("tools")).gateways["dev.tools"]
