"""What attackers try at the gateway, and that it gives them nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest

from gateway_caller import Answered, Caller
from gateway_served import Serve, Served
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, BOB, CAROL, DAVE, SECRET, Manifest, gateway, installation, pinned, snapshot_of, text_of, token
from gateway_world import settings as platform_settings
from own_address import ADDRESS
from wharfinger_gateway.session import Seal, Session, session_key

BOUND = text_of("bound")


def world(url: str = f"http://{ADDRESS}:9/mcp") -> list[Manifest]:
    return [
        *installation("bot", team="engineering", url=url),
        gateway("tools", pinned("bot"), teams=["engineering"]),
        gateway("other", pinned("bot"), teams=["engineering"]),
        gateway("shut", pinned("bot"), bearer=False),
        token("bound", BOUND, user="okta:alice", gateways=["dev.other"]),
        token("expired", text_of("expired"), user="okta:alice", expiresAt="2020-01-01T00:00:00Z"),
        token("disabled", text_of("disabled"), user="okta:alice", disabled=True),
    ]


def seen(answered: Answered) -> tuple[int, bytes, dict[str, str]]:
    """Everything that a caller can tell answers apart by."""
    return answered.status, answered.reply.body, dict(answered.reply.headers)


@pytest.mark.requirement("AUT-4", "GW-3")
@pytest.mark.parametrize("gateway_id", ["dev.tools", "dev.shut", "dev.none", "x", "../etc", "dev.tools.x"])
async def test_without_a_valid_token_every_gateway_there_is_or_not_answers_alike(serve: Serve, gateway_id: str) -> None:
    served = serve(world())
    refused = {'Bearer error="invalid_token"': set[str](), "Bearer": set[str]()}
    for text in (None, "", ALICE[:-1] + "x", text_of("nobody"), text_of("expired"), text_of("disabled")):
        for verb in ("POST", "GET", "DELETE"):
            answered = await served.caller(text, gateway_id).send(b"{}", verb=verb)
            assert answered.status == 401
            refused[answered.reply.headers["WWW-Authenticate"]].add(repr(seen(answered)))
    assert {challenge: len(replies) for challenge, replies in refused.items()} == dict.fromkeys(refused, 1)


@pytest.mark.requirement("GW-3")
@pytest.mark.parametrize("verb", ["POST", "GET", "DELETE"])
async def test_a_gateway_that_is_not_ones_own_looks_like_one_that_is_not_there(serve: Serve, verb: str) -> None:
    served = serve(world())
    answers = [
        await served.caller(text, gateway_id).send(b"{}", verb=verb)
        for text, gateway_id in (
            (ALICE, "dev.none"), (CAROL, "dev.tools"), (DAVE, "dev.tools"), (ALICE, "dev.shut"), (BOUND, "dev.tools"),
            (ALICE, "DEV.tools"), (ALICE, "dev%2Etools"), (ALICE, "dev.tools/"), (ALICE, "dev.tools/../other"), (ALICE, ""),
        )
    ]  # fmt: skip
    assert {repr(seen(one)) for one in answers} == {repr(seen(answers[0]))}
    assert answers[0].status == 404


async def test_outside_of_the_endpoints_there_is_nothing(serve: Serve) -> None:
    served = serve(world())
    for path in ("/", "/v1/mcp", "/.well-known/oauth-protected-resource", "/metrics", "//v1/mcp/dev.tools"):
        for text in (None, ALICE):
            assert (await served.caller(text).send(b"{}", path=path)).status == 404


def forged(attempt: str, served: Served, alice: Caller) -> tuple[Caller, str]:
    """Return a caller and the session id that he tries."""
    assert alice.session is not None
    contents, _, mac = alice.session.partition(".")
    session = Session("dev.tools", "", "2025-11-25", 0, "")
    attempts: dict[str, tuple[Caller, str]] = {
        "another user's": (served.caller(BOB), alice.session),
        "another gateway's": (served.caller(ALICE, "dev.other"), alice.session),
        "other contents": (alice, f"{contents[:-2]}xx.{mac}"),
        "no seal": (alice, contents),
        "another key's": (alice, Seal(session_key(b"0" * 32)).seal(session)),
        "an empty seal": (alice, f"{contents}."),
        "very long": (alice, "x" * 100_000),
        "guessed": (alice, "1"),
    }
    return attempts[attempt]


@pytest.mark.requirement("GW-3")
@pytest.mark.parametrize(
    "attempt",
    ["another user's", "another gateway's", "other contents", "no seal", "another key's", "an empty seal", "very long", "guessed"],
)
async def test_a_session_id_that_was_not_given_to_this_caller_here_is_unknown(serve: Serve, attempt: str) -> None:
    served = serve(world())
    alice = served.caller(ALICE)
    await alice.initialize()
    caller, session = forged(attempt, served, alice)
    caller.session = session
    answered = await caller.request("tools/list")
    caller.session = "never-given"
    assert seen(answered) == seen(await caller.request("tools/list"))
    assert answered.status == 404


@pytest.mark.requirement("GW-3")
async def test_an_old_session_is_no_way_in_once_the_caller_lost_the_gateway(serve: Serve) -> None:

    served = serve(world())
    alice = served.caller(ALICE)
    await alice.initialize()
    served.current.publish(snapshot_of([one for one in world() if one["kind"] != "McpToken"], platform_settings(teams={})))
    assert (await alice.request("tools/list")).status == 404


@pytest.mark.requirement("AUT-4")
async def test_a_token_that_is_gone_ends_at_the_next_request_also_inside_a_session(serve: Serve) -> None:
    served = serve(world())
    alice = served.caller(ALICE)
    await alice.initialize()
    served.current.tokens = {}
    assert (await alice.request("tools/list")).status == 401


@pytest.mark.parametrize(
    ("origin", "loopback", "status"),
    [
        ("https://mcp.example.com", False, 200),
        ("HTTPS://MCP.example.com", False, 200),
        ("https://evil.example.com", False, 403),
        ("https://mcp.example.com.evil.com", False, 403),
        ("http://mcp.example.com", False, 403),
        ("https://mcp.example.com:8443", False, 403),
        ("http://localhost:1234", False, 403),
        ("null", False, 403),
        ("", False, 403),
        ("http://localhost:1234", True, 200),
        ("http://[::1]:1234", True, 200),
        ("http://localhost.evil.com", True, 403),
        ("http://[", True, 403),
    ],
)
async def test_a_page_of_another_origin_is_refused(serve: Serve, origin: str, loopback: bool, status: int) -> None:
    caller = serve(world(), loopback=loopback).caller(ALICE)
    assert (await caller.modern("tools/list", None, Origin=origin)).status == status


@pytest.mark.parametrize(
    ("host", "loopback", "status"),
    [
        ("rebound.evil.com", False, 200), ("127.0.0.1:8080", True, 200), ("localhost", True, 200), ("[::1]:8080", True, 200),
        ("mcp.example.com", True, 200), ("rebound.evil.com", True, 403), ("127.0.0.1.evil.com", True, 403), ("[", True, 403), ("", True, 403),
    ],
)  # fmt: skip
async def test_on_the_loopback_interface_a_rebound_name_is_refused(serve: Serve, host: str, loopback: bool, status: int) -> None:
    caller = serve(world(), loopback=loopback).caller(ALICE)
    assert (await caller.modern("tools/list", None, Host=host)).status == status


async def test_who_has_no_token_is_told_nothing_about_origins(serve: Serve) -> None:
    assert (await serve(world()).caller(None).modern("tools/list", None, Origin="https://evil.example.com")).status == 401


@pytest.mark.requirement("GW-1")
async def test_a_body_above_the_gateways_limit_is_413(serve: Serve) -> None:
    small = gateway("tools", pinned("bot"), limits={"maxRequestBytes": "1Ki"})
    caller = serve(installation("bot", team="engineering"), small).caller(ALICE)
    answered = await caller.modern("tools/list", {"x": "y" * 2000})
    assert (answered.status, answered.error["code"]) == (413, -32008)
    assert (await caller.modern("tools/list", {"x": "y" * 100})).status == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"{}", b'{"jsonrpc":"2.0"}', b"[" * 100_000, b'{"a":' * 100_000, b'{"id":NaN}', b"\0"],
)
async def test_a_body_that_is_no_message_is_400(serve: Serve, body: bytes) -> None:
    caller = serve(world()).caller(ALICE)
    await caller.initialize()
    answered = await caller.send(body)
    assert (answered.status, answered.error["code"] in (-32700, -32600)) == (400, True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
messages = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "1.0", 2])},
    optional={
        "id": st.integers() | st.text(max_size=5) | st.none() | st.floats(),
        "method": st.sampled_from(["tools/call", "tools/list", "initialize", "ping", "server/discover"]) | st.text(max_size=10),
        "params": st.dictionaries(st.sampled_from(["name", "arguments", "_meta", "cursor", "protocolVersion"]), json_values) | json_values,
        "result": json_values,
        "error": json_values,
    },
)


async def _nothing_breaks(serve: Callable[..., Served], body: bytes, headers: dict[str, str]) -> None:
    caller = serve(world()).caller(ALICE)
    await caller.initialize()
    answered = await caller.send(body, **headers)
    assert answered.status in (200, 202, 400, 404), answered
    if answered.reply.body:
        json.loads(answered.reply.body)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | st.lists(messages, max_size=3).map(lambda v: json.dumps(v).encode())
    | messages.map(lambda v: json.dumps(v).encode())
)
async def test_no_body_breaks_it(serve: Serve, body: bytes) -> None:
    await _nothing_breaks(serve, body, {})


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    messages, st.dictionaries(st.sampled_from(["MCP_Protocol_Version", "Mcp_Method", "Mcp_Name", "Mcp_Session_Id"]), st.text(max_size=10))
)
async def test_no_headers_break_it(serve: Serve, message: Any, headers: dict[str, str]) -> None:
    await _nothing_breaks(serve, json.dumps(message).encode(), headers)


@pytest.mark.requirement("GW-7")
async def test_no_credential_is_in_an_answer_a_record_a_metric_or_the_log(
    serve: Serve, legacy_server: UpstreamServer, caplog: pytest.LogCaptureFixture
) -> None:

    caplog.set_level("DEBUG")
    served = serve(world(legacy_server.url))
    alice = served.caller(ALICE)
    replies = []
    for behaviour in ({}, {"isError": True}, {"code": -32000, "message": "no"}, 401, 500):
        legacy_server.behaviour["echo"] = behaviour
        replies.append((await alice.call("bot__echo", word="planted-argument")).reply)
    legacy_server.behaviour.clear()
    replies.append((await alice.call("bot__absent")).reply)
    kept = repr(served.audit) + caplog.text + generate_latest(served.telemetry.registry).decode()
    kept += repr(served.current.snapshot) + repr(served.current.tokens) + repr(vars(served.upstreams))
    assert len(served.audit) == 6
    assert "planted-argument" not in kept
    for credential in (SECRET, ALICE, "\\x07\\x07"):
        assert credential not in kept + repr(replies)
