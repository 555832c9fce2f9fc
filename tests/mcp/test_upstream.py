"""Calls to a server: one request each, in its era's terms, and what happens when it forgets, fails or dies."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from eventually import eventually
from recording_server import Http, RecordingServer, always, error, streamed
from upstream_calls import CREDENTIAL, both_eras, call, made, params, value_of
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.errors import InterruptedCallError, MisconfiguredError, ProtocolError, RefusedError, SessionGoneError
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.upstream import CallLimits


@both_eras
async def test_a_call_is_one_request_once_the_server_is_known(client: HttpClient, http: Http, modern: bool) -> None:
    server = RecordingServer(modern)
    upstream = await made(server, client, http)
    await upstream.open(CREDENTIAL)
    before = len(server.messages)

    for _ in range(5):
        assert value_of(await call(upstream)) == {"called": "tools/call"}

    assert [message["method"] for message in server.messages[before:]] == ["tools/call"] * 5
    ids = [message["id"] for message in server.messages[before:]]
    assert len(set(ids)) == 5


async def test_a_modern_server_gets_our_identity_in_the_body_and_the_body_in_the_headers(client: HttpClient, http: Http) -> None:
    server = RecordingServer(modern=True)
    upstream = await made(server, client, http)
    theirs = {"io.modelcontextprotocol/clientInfo": {"name": "them"}, "io.modelcontextprotocol/protocolVersion": "x", "traceparent": "00-1"}
    await upstream.call("tools/call", params(_meta=theirs, name="grüß", arguments={"a": 1.0}), {**CREDENTIAL, "Mcp-Param-A": "1"})

    message, headers = server.messages[-1], server.headers[-1]
    assert message["params"] == {
        "_meta": {
            "io.modelcontextprotocol/clientInfo": {"name": "wharfinger", "version": "0.1.0"},
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"roots": {}},
            "traceparent": "00-1",
        },
        "name": "grüß",
        "arguments": {"a": 1.0},
    }
    assert headers["mcp-protocol-version"] == "2026-07-28"
    assert headers["mcp-method"] == "tools/call"
    assert headers["mcp-name"] == "=?base64?Z3LDvMOf?="
    assert headers["mcp-param-a"] == "1"
    assert headers["authorization"] == "Bearer hunter2"
    assert headers["accept"] == "application/json, text/event-stream"
    assert "mcp-session-id" not in headers


async def test_a_legacy_server_gets_its_session_and_nothing_of_the_modern_envelope(client: HttpClient, http: Http) -> None:
    server = RecordingServer()
    upstream = await made(server, client, http)
    meta = {"io.modelcontextprotocol/clientCapabilities": {}, "io.modelcontextprotocol/logLevel": "info", "progressToken": 1}
    await upstream.call("tools/call", params(name="a", _meta=meta), CREDENTIAL)
    await upstream.call("tools/call", params(name="a", _meta={"io.modelcontextprotocol/protocolVersion": "2026-07-28"}), CREDENTIAL)

    assert [message["params"] for message in server.messages[-2:]] == [{"name": "a", "_meta": {"progressToken": 1}}, {"name": "a"}]
    assert server.headers[-1]["mcp-session-id"] == "session-0"
    assert server.headers[-1]["mcp-protocol-version"] == "2025-11-25"
    assert "mcp-method" not in server.headers[-1]
    assert [message["method"] for message in server.messages[:3]] == ["server/discover", "initialize", "notifications/initialized"]
    assert server.messages[1]["params"]["capabilities"] == {"roots": {}}


@both_eras
async def test_callers_that_come_together_share_one_handshake(client: HttpClient, http: Http, modern: bool) -> None:
    server = RecordingServer(modern)
    upstream = await made(server, client, http)
    await asyncio.gather(*(call(upstream) for _ in range(10)))
    assert server.count() == {"server/discover": 1, "tools/call": 10} | (
        {} if modern else {"initialize": 1, "notifications/initialized": 1}
    )


async def test_callers_that_come_together_share_a_refusal_and_the_next_one_asks_again(client: HttpClient, http: Http) -> None:
    server = RecordingServer(replies={"*": always(401, WWW_Authenticate="Bearer")})
    upstream = await made(server, client, http)
    outcomes = await asyncio.gather(*(call(upstream) for _ in range(10)), return_exceptions=True)
    assert all(isinstance(outcome, RefusedError) and outcome.status == 401 for outcome in outcomes)
    assert server.count() == {"server/discover": 1}

    server.replies.clear()
    assert value_of(await call(upstream)) == {"called": "tools/call"}


async def test_a_caller_that_goes_away_does_not_take_the_handshake_with_it(client: HttpClient, http: Http) -> None:
    go_on = asyncio.Event()

    async def slowly(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        await go_on.wait()
        return web.Response(status=404)

    server = RecordingServer(replies={"server/discover": slowly})
    upstream = await made(server, client, http)
    first, second = asyncio.create_task(call(upstream)), asyncio.create_task(call(upstream))
    await asyncio.sleep(0)
    first.cancel()
    go_on.set()
    assert value_of(await second) == {"called": "tools/call"}
    assert server.count()["initialize"] == 1


async def test_a_forgotten_session_is_made_anew_once_for_all_callers_and_each_call_arrives(client: HttpClient, http: Http) -> None:
    server = RecordingServer()
    upstream = await made(server, client, http)
    await upstream.open(CREDENTIAL)
    server.sessions.append("another")
    server.messages.clear()

    outcomes = await asyncio.gather(*(call(upstream) for _ in range(5)))

    assert [value_of(outcome) for outcome in outcomes] == [{"called": "tools/call"}] * 5
    assert server.count() == {"tools/call": 10, "initialize": 1, "notifications/initialized": 1}


async def test_a_late_404_of_the_old_session_does_not_end_the_new_one(client: HttpClient, http: Http) -> None:
    late = asyncio.Event()

    async def refuse_late(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        if message["params"] == {"late": True} and request.headers["Mcp-Session-Id"] == "session-0":
            await late.wait()
        return server.by_era(request, message)

    server = RecordingServer(replies={"tools/call": refuse_late})
    upstream = await made(server, client, http)
    await upstream.open(CREDENTIAL)
    server.sessions.append("another")
    waiting = asyncio.create_task(upstream.call("tools/call", params(late=True), CREDENTIAL))
    await eventually(lambda: server.count()["tools/call"])
    await call(upstream)
    late.set()
    assert value_of(await waiting) == {"called": "tools/call"}
    assert server.count()["initialize"] == 2


async def test_a_server_that_never_knows_its_session_is_tried_twice_and_no_more(client: HttpClient, http: Http) -> None:
    server = RecordingServer(replies={"tools/call": always(404)})
    upstream = await made(server, client, http)
    with pytest.raises(SessionGoneError, match="do its replicas share sessions"):
        await call(upstream)
    assert server.count()["tools/call"] == 2


async def test_a_400_about_the_session_is_not_repeated_but_the_next_call_begins_anew(client: HttpClient, http: Http) -> None:
    async def refuse(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        del server.replies["tools/call"]
        return error({"id": None}, -32000, "Bad Request: No valid session ID provided", status=400)

    server = RecordingServer(replies={"tools/call": refuse})
    upstream = await made(server, client, http)
    with pytest.raises(SessionGoneError, match="was not repeated"):
        await call(upstream)
    assert server.count()["tools/call"] == 1
    assert value_of(await call(upstream)) == {"called": "tools/call"}
    assert server.count()["initialize"] == 2


async def test_an_unknown_method_with_http_404_is_a_response_and_ends_no_session(client: HttpClient, http: Http) -> None:
    async def unknown(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return error(message, -32601, status=404)

    server = RecordingServer(replies={"tools/call": unknown})
    upstream = await made(server, client, http)
    response = await call(upstream)
    assert response.error is not None
    assert response.error.code == -32601
    assert server.count() == {"server/discover": 1, "initialize": 1, "notifications/initialized": 1, "tools/call": 1}


async def test_a_server_replaced_by_one_of_the_other_era_is_found_out_at_the_next_call(client: HttpClient, http: Http) -> None:
    server = RecordingServer(modern=True)
    upstream = await made(server, client, http)
    await call(upstream)
    server.modern = False
    with pytest.raises(RefusedError, match="HTTP 400"):
        await call(upstream)
    assert value_of(await call(upstream)) == {"called": "tools/call"}
    assert (await upstream.open(CREDENTIAL)).era is Era.LEGACY


async def test_a_server_that_serves_the_revision_no_more_is_asked_again_by_what_it_serves_now(client: HttpClient, http: Http) -> None:
    server = RecordingServer(modern=True)
    upstream = await made(server, client, http)
    await call(upstream)
    server.modern = False

    async def refuse_modern(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return error(message, -32022, status=400) if "Mcp-Method" in request.headers else server.by_era(request, message)

    server.replies["tools/call"] = refuse_modern
    assert value_of(await call(upstream)) == {"called": "tools/call"}
    assert (await upstream.open(CREDENTIAL)).era is Era.LEGACY


async def test_a_refused_revision_without_the_status_for_it_is_the_answer_and_the_server_is_looked_at_anew(
    client: HttpClient, http: Http
) -> None:
    async def refuse(_: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return error(message, -32022)

    server = RecordingServer(modern=True, replies={"tools/call": refuse})
    upstream = await made(server, client, http)
    answered = (await call(upstream)).error
    assert answered is not None
    assert answered.code == -32022
    assert server.count()["tools/call"] == 1
    del server.replies["tools/call"]
    assert value_of(await call(upstream)) == {"called": "tools/call"}
    assert server.count()["server/discover"] == 2


async def test_a_server_that_refuses_what_it_has_agreed_on_fails_the_call_and_is_not_asked_for_ever(client: HttpClient, http: Http) -> None:
    async def refuse(_: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return error(message, -32022, status=400)

    server = RecordingServer(modern=True, replies={"tools/call": refuse})
    with pytest.raises(ProtocolError, match="just agreed"):
        await call(await made(server, client, http))
    assert server.count()["tools/call"] == 2


@both_eras
async def test_closing_ends_a_legacy_session_and_says_nothing_to_a_modern_server(client: HttpClient, http: Http, modern: bool) -> None:
    server = RecordingServer(modern)
    upstream = await made(server, client, http)
    await upstream.open(CREDENTIAL)
    await upstream.close(CREDENTIAL)
    await upstream.close(CREDENTIAL)
    assert server.count()["DELETE"] == (0 if modern else 1)
    if not modern:
        assert server.headers[-1]["mcp-session-id"] == "session-0"
        assert server.headers[-1]["authorization"] == "Bearer hunter2"


async def test_closing_amid_the_handshake_fails_who_waits_for_it(client: HttpClient, http: Http) -> None:
    server = RecordingServer(replies={"server/discover": streamed(end=False)})
    upstream = await made(server, client, http)
    waiting = asyncio.create_task(call(upstream))
    await eventually(lambda: server.messages)
    await upstream.close(CREDENTIAL)
    with pytest.raises(InterruptedCallError, match="closed while it was being made"):
        await waiting


async def test_a_header_that_is_ours_to_set_is_a_configuration_fault_and_nothing_is_sent(client: HttpClient, http: Http) -> None:
    server = RecordingServer()
    with pytest.raises(MisconfiguredError, match="'Host' cannot be set"):
        await call(await made(server, client, http), {"Host": "else.example"})
    assert server.messages == []


async def test_a_stream_to_a_forgotten_session_begins_anew_but_a_server_without_streams_is_left_its_session(
    client: HttpClient, http: Http
) -> None:
    async def open_and_end(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        if request.headers["Mcp-Session-Id"] != server.sessions[-1]:
            return web.Response(status=404)
        return await streamed(": open\n\n")(request, message)

    async def follow() -> None:
        async def take(_: object) -> None:
            pass

        await upstream.stream(CREDENTIAL, CallLimits(10.0), lambda: None, take)

    server = RecordingServer(replies={"GET": always(404)})
    upstream = await made(server, client, http)
    for _ in range(2):
        with pytest.raises(RefusedError):
            await follow()
    assert len(server.sessions) == 1
    server.replies["GET"] = open_and_end
    await follow()
    server.sessions.append("the server was started anew")
    with pytest.raises(SessionGoneError):
        await follow()
    await follow()
    assert len(server.sessions) == 3
