"""One message and its answer: found in JSON or in a stream, or an error that says what came instead."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from eventually import eventually
from recording_server import Http, RecordingServer, Reply, always, error, hang_up, streamed
from upstream_calls import CREDENTIAL, both_eras, call, made, value_of
from wharfinger_mcp.errors import (
    InterruptedCallError,
    NotMcpError,
    ProtocolError,
    RefusedError,
    TimedOutError,
    TooLargeError,
    UpstreamError,
)
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import Notification, Request

OK = {"jsonrpc": "2.0", "id": ..., "result": {"ok": True}}

ANSWERS: dict[str, tuple[Reply, type[UpstreamError]]] = {
    "it dies amid the call": (hang_up, InterruptedCallError),
    "a stream that ends without the response": (streamed(": ping\n\n"), InterruptedCallError),
    "a stream with another response only": (streamed({**OK, "id": "other"}), InterruptedCallError),
    "a stream with an event that is no message": (streamed("data: {}\n\n", end=False), ProtocolError),
    "a stream with an event beyond the bound": (streamed("data: " + "x" * 300_000), TooLargeError),
    "a stream beyond the bound": (streamed(*["data: {}\nevent: other\n\n" * 1000] * 20), TooLargeError),
    "a body beyond the bound": (always(200, "x" * 300_000, "application/json"), TooLargeError),
    "no JSON": (always(200, "{", "application/json"), ProtocolError),
    "a response to something else": (always(200, '{"jsonrpc":"2.0","id":"other","result":{}}', "application/json"), ProtocolError),
    "no body": (always(202, ""), NotMcpError),
    "no body, as JSON": (always(202, "", "application/json"), ProtocolError),
    "a web page": (always(200, "<html>"), NotMcpError),
    "a redirect": (always(307, Location="https://else.example/mcp?key=hunter2"), NotMcpError),
    "compression that nobody asked for": (always(200, "x", "application/json", Content_Encoding="gzip"), NotMcpError),
    "a 401": (always(401, WWW_Authenticate="Bearer realm=x"), RefusedError),
    "a 500 with a page": (always(500, "hunter2"), RefusedError),
    "silence": (streamed(end=False), TimedOutError),
}


@both_eras
@pytest.mark.parametrize("case", ANSWERS)
async def test_a_failed_call_is_sent_once_and_its_error_holds_no_secret(client: HttpClient, http: Http, modern: bool, case: str) -> None:
    reply, expected = ANSWERS[case]
    server = RecordingServer(modern, {"tools/call": reply})
    upstream = await made(server, client, http)
    await upstream.open(CREDENTIAL)

    with pytest.raises(UpstreamError) as failed:
        await call(upstream, seconds=0.5 if expected is TimedOutError else 10, answer_bytes=200_000)

    assert type(failed.value) is expected
    assert server.count()["tools/call"] == 1
    assert "hunter2" not in failed.value.message
    assert "session-0" not in failed.value.message + repr(upstream) + repr(await upstream.open(CREDENTIAL))


async def test_a_refusal_says_what_to_look_at_and_keeps_the_challenge(client: HttpClient, http: Http) -> None:
    server = RecordingServer(modern=True, replies={"tools/call": always(401, WWW_Authenticate='Bearer resource_metadata="x"')})
    upstream = await made(server, client, http)
    with pytest.raises(RefusedError, match="the server answered HTTP 401 to POST /mcp: the server wants authorization") as refused:
        await call(upstream)
    assert (refused.value.status, refused.value.challenge) == (401, 'Bearer resource_metadata="x"')


async def test_a_redirect_is_named_without_its_query(client: HttpClient, http: Http) -> None:
    server = RecordingServer(modern=True, replies={"tools/call": always(308, Location="https://else.example/mcp/?key=hunter2")})
    with pytest.raises(NotMcpError, match=r"redirects \(HTTP 308\) to https://else.example/mcp/: redirects are not followed"):
        await call(await made(server, client, http))


RESPONSES: dict[str, Reply] = {
    "an event stream": streamed(OK),
    "an event stream that stays open": streamed(OK, end=False),
    "notifications, questions and comments before it": streamed(
        "id: 1\ndata:\n\n",
        ": ping\n\n",
        {"jsonrpc": "2.0", "method": "notifications/message", "params": {}},
        {"jsonrpc": "2.0", "id": 7, "method": "ping"},
        "event: other\ndata: x\n\n",
        OK,
    ),
    "a stream in many pieces": streamed("data: {", '"jsonrpc":"2.0"', ',\ndata: "id":', "2,", '"result":{"ok":true}}', "\n", "\n"),
}


@pytest.mark.parametrize("case", RESPONSES)
async def test_a_response_is_found_in_a_stream_and_the_connection_lives_on(client: HttpClient, http: Http, case: str) -> None:
    server = RecordingServer(modern=True, replies={"tools/call": RESPONSES[case]})
    upstream = await made(server, client, http)
    await upstream.call("first", {}, CREDENTIAL)
    assert value_of(await call(upstream)) == {"ok": True}
    assert value_of(await upstream.call("next", {}, CREDENTIAL)) == {"called": "next"}


async def test_a_response_alone_in_a_batch_is_one(client: HttpClient, http: Http) -> None:
    async def batch(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return web.json_response([{"jsonrpc": "2.0", "method": "n"}, {**OK, "id": message["id"]}])

    upstream = await made(RecordingServer(replies={"tools/call": batch}), client, http)
    assert value_of(await call(upstream)) == {"ok": True}


@both_eras
async def test_an_error_in_an_http_error_is_the_response_even_without_its_id(client: HttpClient, http: Http, modern: bool) -> None:
    async def refuse(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return error({"id": None}, -32602, "bad", {"k": [1]}, status=400)

    upstream = await made(RecordingServer(modern, {"tools/call": refuse}), client, http)
    response = await call(upstream)
    assert response.error is not None
    assert (response.error.code, bytes(response.error.data or b"")) == (-32602, b'{"k": [1]}')


@pytest.mark.parametrize("streaming", [False, True], ids=["before it answers", "amid its stream"])
async def test_a_cancelled_call_is_cancelled_at_a_modern_server_by_the_end_of_its_connection(
    client: HttpClient, http: Http, streaming: bool
) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if streaming:
            await response.prepare(request)
            await response.write(b'data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n')
        else:
            begun.set()
        await eventually(lambda: request.transport is None or request.transport.is_closing())
        cancelled.set()
        return response

    async def listen(message: Request | Notification) -> None:
        begun.set()

    upstream = await made(RecordingServer(modern=True, replies={"tools/call": wait}), client, http)
    running = asyncio.create_task(upstream.call("tools/call", {}, CREDENTIAL, on_message=listen))
    await asyncio.wait_for(begun.wait(), 5)
    running.cancel()
    await asyncio.wait_for(cancelled.wait(), 5)
