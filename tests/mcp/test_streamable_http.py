"""Coming back for an answer whose stream a legacy server ended too early."""

from typing import Any

import pytest
from aiohttp import web

from recording_server import Http, RecordingServer, Reply, always, streamed
from upstream_calls import CREDENTIAL, IDENTITY, call, made, params, value_of
from wharfinger_mcp import streamable_http
from wharfinger_mcp.endpoint import Address, AddressGuard, parse_endpoint
from wharfinger_mcp.errors import CutStreamError, EgressRefusedError, InterruptedCallError, TimedOutError, UpstreamError
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import Notification, Request
from wharfinger_mcp.upstream import Upstream

PRIMED = "id: one\nretry: 100\ndata:\n\n"
PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}


def found_again(*pieces: str) -> Reply:
    """Give what else a stream holds, and the answer to the first call."""

    async def reply(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        answer = {"jsonrpc": "2.0", "id": 1, "result": {"ok": True}}
        return await streamed(*pieces, PROGRESS, answer)(request, message)

    return reply


def cut_off(text: str) -> Reply:
    """Break the connection off amid a stream."""

    async def reply(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        response = await streamed(text)(request, message)
        assert request.transport is not None
        request.transport.abort()
        return response

    return reply


@pytest.mark.parametrize("ended", [streamed(PRIMED), streamed("id: one\nretry: 100\n\n"), cut_off(PRIMED)], ids=["ended", "no data", "cut"])
async def test_an_answer_is_come_back_for_and_the_call_not_sent_again(client: HttpClient, http: Http, ended: Reply) -> None:
    server = RecordingServer(replies={"tools/call": ended, "GET": found_again()})
    upstream = await made(server, client, http)
    heard: list[str] = []

    async def hear(message: Request | Notification) -> None:
        heard.append(message.method)

    response = await upstream.call("tools/call", params(name="a"), CREDENTIAL, on_message=hear)

    assert value_of(response) == {"ok": True}
    assert heard == ["notifications/progress"]
    assert (server.count()["tools/call"], server.count()["GET"]) == (1, 1)
    back = server.headers[-1]
    assert (back["last-event-id"], back["mcp-session-id"], back["authorization"]) == ("one", "session-0", "Bearer hunter2")


async def test_a_server_may_end_the_stream_again_and_is_come_back_to_from_where_it_was(client: HttpClient, http: Http) -> None:
    async def again(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        server.replies["GET"] = found_again()
        return await streamed("id: two\ndata:\n\n")(request, message)

    server = RecordingServer(replies={"tools/call": streamed(PRIMED), "GET": again})
    assert value_of(await call(await made(server, client, http))) == {"ok": True}
    assert [headers.get("last-event-id") for headers in server.headers[-2:]] == ["one", "two"]


async def test_a_server_that_ends_its_streams_for_ever_is_given_up(client: HttpClient, http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamable_http, "MAX_RETURNS", 2)
    monkeypatch.setattr(streamable_http, "RETRY_MS", 100)
    server = RecordingServer(replies={"tools/call": streamed(PRIMED), "GET": streamed(": nothing\n\n")})
    with pytest.raises(CutStreamError, match="ended its stream without the response"):
        await call(await made(server, client, http))
    assert server.count()["GET"] == 2
    assert server.headers[-1]["last-event-id"] == "one"


@pytest.mark.parametrize("back", [always(405), always(200, "<html>")], ids=["405", "a web page"])
async def test_a_server_that_nobody_can_come_back_to_has_lost_the_answer(client: HttpClient, http: Http, back: Reply) -> None:
    server = RecordingServer(replies={"tools/call": streamed(PRIMED), "GET": back})
    with pytest.raises(InterruptedCallError, match="without the response, and answered HTTP"):
        await call(await made(server, client, http))
    assert server.count()["tools/call"] == 1


async def test_a_server_that_wants_to_be_left_alone_for_longer_than_the_call_may_take_is_not_come_back_to(
    client: HttpClient, http: Http
) -> None:
    server = RecordingServer(replies={"tools/call": streamed("id: one\nretry: 999999999\ndata:\n\n")})
    with pytest.raises(TimedOutError, match="did not want us back in time"):
        await call(await made(server, client, http), seconds=20)
    assert server.count()["GET"] == 0


NO_PLACE = {
    "no id": streamed(": ping\n\n"),
    "an empty id": streamed("id\ndata:\n\n"),
    "an id that no header can hold": streamed("id: grüß\ndata:\n\n"),
    "an id without end": streamed(f"id: {'x' * 2000}\ndata:\n\n"),
}


@pytest.mark.parametrize("case", NO_PLACE)
async def test_without_a_place_to_come_back_to_the_answer_is_lost(client: HttpClient, http: Http, case: str) -> None:
    server = RecordingServer(replies={"tools/call": NO_PLACE[case]})
    with pytest.raises(InterruptedCallError, match="without the response"):
        await call(await made(server, client, http))
    assert server.count()["GET"] == 0


async def test_a_modern_server_is_not_come_back_to(client: HttpClient, http: Http) -> None:
    server = RecordingServer(modern=True, replies={"tools/call": streamed(PRIMED)})
    with pytest.raises(InterruptedCallError):
        await call(await made(server, client, http))
    assert server.count()["GET"] == 0


class _ShutAfter:
    """Lets so many connections be made, and no more."""

    def __init__(self, connections: int) -> None:
        self.left = connections

    def __call__(self, host: str, port: int, addresses: tuple[Address, ...]) -> tuple[Address, ...]:
        self.left -= 1
        if self.left < 0:
            raise EgressRefusedError("shut")
        return addresses

    def replaces(self, other: AddressGuard) -> bool:
        return False


async def test_a_server_that_cannot_be_reached_any_more_does_not_make_the_call_one_that_was_never_sent(
    client: HttpClient, http: Http
) -> None:
    endpoint = await http(RecordingServer(replies={"tools/call": cut_off(PRIMED)}))
    guarded = parse_endpoint(f"http://{endpoint.host}{endpoint.path}", guard=_ShutAfter(1))
    with pytest.raises(UpstreamError, match="without the response, and then: shut") as failed:
        await call(Upstream(client, guarded, IDENTITY))
    assert type(failed.value) is InterruptedCallError
