"""Servers of the older HTTP+SSE transport: how one is found, a call and its answer, and a stream that ends or lies."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from eventually import eventually
from everything_process import everything_server
from recording_server import Http, RecordingServer, always
from sse_server import Message, Say, SseServer, answer, hang_up, refuse
from upstream_calls import CREDENTIAL, IDENTITY, call, params, value_of
from wharfinger_mcp import http_sse
from wharfinger_mcp.changes import follow
from wharfinger_mcp.discovery import discover
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.errors import (
    BusyError,
    InterruptedCallError,
    NotMcpError,
    ProtocolError,
    RefusedError,
    SessionGoneError,
    TimedOutError,
    TooLargeError,
    UpstreamError,
)
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import Notification, Request
from wharfinger_mcp.session import TransportName
from wharfinger_mcp.upstream import CallLimits, Upstream

HANDSHAKE = ["GET", "initialize", "notifications/initialized"]


async def made(server: Any, client: HttpClient, http: Http, transport: TransportName = "SSE") -> Upstream:
    return Upstream(client, await http(server), IDENTITY, transport=transport)


@pytest.fixture(scope="module")
def everything() -> Iterator[str]:
    with everything_server("127.0.0.1") as base:
        yield base


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_server_that_refuses_initialize_is_found_to_have_a_stream(client: HttpClient, http: Http, status: int) -> None:
    server = SseServer(refusal=status)
    upstream = await made(server, client, http, "Auto")

    assert value_of(await call(upstream)) == {"called": {"name": "a"}}
    assert value_of(await call(upstream)) == {"called": {"name": "a"}}

    methods = [method for _, method in server.requests]
    assert methods == ["server/discover", "initialize", *HANDSHAKE, "tools/call", "tools/call"]
    found = await upstream.open(CREDENTIAL)
    assert (found.era, found.protocol_version) == (Era.LEGACY, "2024-11-05")


async def test_a_server_declared_so_is_asked_for_its_stream_at_once_with_the_credential(client: HttpClient, http: Http) -> None:
    server = SseServer()
    assert value_of(await call(await made(server, client, http))) == {"called": {"name": "a"}}
    assert [method for _, method in server.requests] == [*HANDSHAKE, "tools/call"]
    assert {headers["authorization"] for headers in server.headers} == {"Bearer hunter2"}


async def test_a_server_declared_as_streamable_is_asked_for_no_stream(client: HttpClient, http: Http) -> None:
    server = SseServer()
    with pytest.raises(RefusedError, match="HTTP 405 to POST /mcp: are path and transport right"):
        await call(await made(server, client, http, "StreamableHTTP"))
    assert server.count()["GET"] == 0


async def test_a_server_without_a_stream_is_reported_with_its_first_refusal(client: HttpClient, http: Http) -> None:
    server = RecordingServer(replies={"*": always(404)})
    with pytest.raises(RefusedError, match="HTTP 404 to POST"):
        await call(await made(server, client, http, "Auto"))
    assert server.count()["GET"] == 1


async def test_a_server_replaced_by_a_streamable_one_is_found_out_at_the_next_call(client: HttpClient, http: Http) -> None:
    older, newer = SseServer(), RecordingServer()
    serving: list[Any] = [older]

    async def serve(request: Any) -> Any:
        return await serving[0](request)

    upstream = await made(serve, client, http, "Auto")
    await call(upstream)
    serving[0] = newer
    await older.say("")
    await eventually(lambda: older.closed)
    with pytest.raises(RefusedError):
        await call(upstream)
    assert value_of(await call(upstream)) == {"called": "tools/call"}


@pytest.mark.parametrize("named", ["{path}?session={session}", "?session={session}", "http://{host}{path}?session={session}"])
async def test_the_address_may_be_relative_or_absolute(client: HttpClient, http: Http, named: str) -> None:
    server = SseServer()
    endpoint = await http(server)
    server.opening = f"event: endpoint\ndata: {named.replace('{host}', endpoint.host)}\n\n"
    assert value_of(await call(Upstream(client, endpoint, IDENTITY, transport="SSE"))) == {"called": {"name": "a"}}


HOSTILE: dict[str, tuple[dict[str, Any], type[UpstreamError], str]] = {
    "an address on another port": ({"opening": "event: endpoint\ndata: http://127.0.0.1:1/mcp\n\n"}, ProtocolError, "another origin"),
    "an address on another host": ({"opening": "event: endpoint\ndata: //else.example/mcp\n\n"}, ProtocolError, "another origin"),
    "an address of another scheme": ({"opening": "event: endpoint\ndata: https://127.0.0.1/mcp\n\n"}, ProtocolError, "another origin"),
    "an address that is none": ({"opening": "event: endpoint\ndata: http://[/mcp\n\n"}, ProtocolError, "holds no URL"),
    "an address with a password": ({"opening": "event: endpoint\ndata: http://me:hunter2@127.0.0.1/\n\n"}, ProtocolError, "holds no URL"),
    "an address without end": ({"opening": f"event: endpoint\ndata: /{'x' * 5000}\n\n"}, ProtocolError, "holds no URL"),
    "an address that is not UTF-8": ({"opening": "event: endpoint\ndata: /\udcff\n\n"}, ProtocolError, "holds no URL"),
    "a message before the address": ({"opening": "data: {{}}\n\n"}, NotMcpError, "does not begin with an endpoint event"),
    "a huge event before the address": ({"opening": "data: " + "x" * 400_000}, TooLargeError, "more than 300000 bytes"),
    "silence": ({"opening": ": nothing\n\n"}, TimedOutError, "named no endpoint on it, in time"),
    "a web page": ({"stream_type": "text/html"}, NotMcpError, "no event stream"),
    "a 401 to the stream": ({"stream_status": 401}, RefusedError, "HTTP 401 to GET"),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_stream_that_does_not_begin_as_it_should_says_why_and_is_closed(
    client: HttpClient, http: Http, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_sse, "EVENT_BYTES", 300_000)
    wrong, expected, message = HOSTILE[case]
    monkeypatch.setattr(http_sse, "ENDPOINT_SECONDS", 0.3 if expected is TimedOutError else 10)
    server = SseServer(**wrong)
    with pytest.raises(expected, match=message) as failed:
        await call(await made(server, client, http))
    assert "hunter2" not in str(failed.value)
    await eventually(lambda: server.closed)
    assert [verb for verb, _ in server.requests] == ["GET"]


async def test_a_handshake_that_fails_closes_its_stream(client: HttpClient, http: Http) -> None:
    server = SseServer(behaviour={"initialize": refuse(500)})
    with pytest.raises(RefusedError, match="HTTP 500"):
        await call(await made(server, client, http))
    await eventually(lambda: server.closed)


async def test_a_stream_that_ends_before_the_address_is_no_mcp(client: HttpClient, http: Http) -> None:
    server = RecordingServer(replies={"GET": always(200, ": x\n\n", "text/event-stream")})
    with pytest.raises(NotMcpError, match="ended without an endpoint event"):
        await call(await made(server, client, http))


async def test_the_credential_goes_to_no_other_server(client: HttpClient, http: Http) -> None:
    other = RecordingServer()
    elsewhere = await http(other)
    server = SseServer(opening=f"event: endpoint\ndata: http://{elsewhere.host}/mcp\n\n")
    with pytest.raises(ProtocolError, match="another origin"):
        await call(await made(server, client, http))
    assert other.messages == []


async def _broken(message: Message, say: Say) -> None:
    await say("data: {\n\n")


async def _huge(message: Message, say: Say) -> None:
    await say("data: " + "x" * 400_000)


@pytest.mark.parametrize(
    ("behave", "why"), [(hang_up, "ended the stream"), (_broken, "no JSON-RPC message"), (_huge, "one event has more than 300000 bytes")]
)
async def test_calls_under_way_end_with_the_stream_and_the_next_one_begins_anew(
    client: HttpClient, http: Http, behave: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_sse, "EVENT_BYTES", 300_000)
    begun = asyncio.Event()

    async def never(message: Message, say: Say) -> None:
        begun.set()

    server = SseServer(behaviour={"tools/call": behave, "prompts/get": never})
    upstream = await made(server, client, http)
    other = asyncio.create_task(upstream.call("prompts/get", {}, CREDENTIAL))
    await asyncio.wait_for(begun.wait(), 5)

    for lost in await asyncio.gather(call(upstream), other, return_exceptions=True):
        assert isinstance(lost, InterruptedCallError), lost
        assert why in lost.message
    assert (server.count()["tools/call"], server.count()["prompts/get"]) == (1, 1)

    server.behaviour.clear()
    assert value_of(await call(upstream)) == {"called": {"name": "a"}}
    assert server.count()["GET"] == 2


async def test_a_session_that_the_server_does_not_know_is_made_anew_once(client: HttpClient, http: Http) -> None:
    async def forget(message: Message, say: Say) -> Any:
        del server.behaviour["tools/call"]
        return await refuse(404)(message, say)

    server = SseServer(behaviour={"tools/call": forget})
    upstream = await made(server, client, http)
    assert value_of(await call(upstream)) == {"called": {"name": "a"}}
    assert (server.count()["GET"], server.count()["tools/call"]) == (2, 2)
    await eventually(lambda: server.closed == 1)


async def test_a_server_that_never_knows_its_session_is_tried_twice_and_no_more(client: HttpClient, http: Http) -> None:
    server = SseServer(behaviour={"tools/call": refuse(404)})
    with pytest.raises(SessionGoneError, match="do its replicas share sessions"):
        await call(await made(server, client, http))
    assert server.count()["tools/call"] == 2


@pytest.mark.parametrize("status", [400, 401, 500])
async def test_a_refused_message_ends_its_call_and_no_other(client: HttpClient, http: Http, status: int) -> None:
    server = SseServer(behaviour={"tools/call": refuse(status)})
    upstream = await made(server, client, http)
    with pytest.raises(RefusedError, match=f"HTTP {status} to POST /mcp"):
        await call(upstream)
    assert value_of(await upstream.call("prompts/get", {}, CREDENTIAL)) == {"called": {}}
    assert server.count()["GET"] == 1


async def test_answers_find_their_calls_in_any_order(client: HttpClient, http: Http) -> None:
    asked: list[Message] = []

    async def later(message: Message, say: Say) -> None:
        asked.append(message)
        if len(asked) == 3:
            for one in reversed(asked):
                await say(answer(one, number=one["params"]["number"]))

    upstream = await made(SseServer(behaviour={"tools/call": later}), client, http)
    found = await asyncio.gather(*(upstream.call("tools/call", params(number=number), CREDENTIAL) for number in range(3)))
    assert [value_of(one) for one in found] == [{"number": number} for number in range(3)]


async def test_an_answer_that_nobody_waits_for_any_more_is_passed_over(client: HttpClient, http: Http) -> None:
    late: list[Message] = []

    async def keep(message: Message, say: Say) -> None:
        late.append(message)

    server = SseServer(behaviour={"tools/call": keep})
    upstream = await made(server, client, http)
    await upstream.open(CREDENTIAL)
    with pytest.raises(TimedOutError):
        await call(upstream, seconds=0.3)
    await server.say(answer(late[0]))
    assert value_of(await upstream.call("prompts/get", {}, CREDENTIAL)) == {"called": {}}


async def test_an_answer_beyond_the_bound_of_its_call_fails_that_call_alone(client: HttpClient, http: Http) -> None:
    async def much(message: Message, say: Say) -> None:
        await say(answer(message, much="x" * 200_000))

    upstream = await made(SseServer(behaviour={"tools/call": much}), client, http)
    with pytest.raises(TooLargeError, match="more than 100000 bytes"):
        await call(upstream, answer_bytes=100_000)
    assert value_of(await call(upstream))["much"].startswith("xxx")


async def test_no_more_calls_are_under_way_than_the_bound(client: HttpClient, http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_sse, "MAX_CALLS", 2)
    server = SseServer(behaviour={"tools/call": lambda message, say: asyncio.sleep(0)})
    upstream = await made(server, client, http)
    await upstream.open(CREDENTIAL)
    waiting = [asyncio.create_task(call(upstream)) for _ in range(2)]
    await eventually(lambda: server.count()["tools/call"] == 2)
    with pytest.raises(BusyError, match="2 calls"):
        await call(upstream)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


def _said(method: str, **members: Any) -> Message:
    return {"jsonrpc": "2.0", "method": method, "params": members}


async def test_the_only_call_hears_what_is_said_before_its_answer_and_holding_that_up_holds_up_nobody_else(
    client: HttpClient, http: Http
) -> None:
    async def tell(message: Message, say: Say) -> None:
        await say(_said("notifications/message", data="one"))
        await say(_said("notifications/progress", progress=1))
        await say(answer(message))

    heard: list[str] = []
    go_on = asyncio.Event()

    async def hear(message: Request | Notification) -> None:
        await go_on.wait()
        heard.append(message.method)

    upstream = await made(SseServer(behaviour={"tools/call": tell}), client, http)
    slow = asyncio.create_task(upstream.call("tools/call", {}, CREDENTIAL, on_message=hear))
    assert value_of(await upstream.call("prompts/get", {}, CREDENTIAL)) == {"called": {}}
    go_on.set()
    assert value_of(await slow) == {}
    assert heard == ["notifications/message", "notifications/progress"]


async def test_progress_goes_to_every_call_and_what_names_none_to_none_of_several(client: HttpClient, http: Http) -> None:
    asked: list[Message] = []

    async def tell(message: Message, say: Say) -> None:
        asked.append(message)
        if len(asked) == 2:
            await say(_said("notifications/message", data="one"))
            await say(_said("notifications/progress", progress=1))
            for one in asked:
                await say(answer(one))

    heard: list[str] = []

    async def hear(message: Request | Notification) -> None:
        heard.append(message.method)

    upstream = await made(SseServer(behaviour={"tools/call": tell}), client, http)
    await asyncio.gather(*(upstream.call("tools/call", {}, CREDENTIAL, on_message=hear) for _ in range(2)))
    assert heard == ["notifications/progress"] * 2


async def test_a_ping_is_answered_and_a_question_to_nobody_refused(client: HttpClient, http: Http) -> None:
    server = SseServer()
    upstream = await made(server, client, http)
    await upstream.open(CREDENTIAL)
    await server.say({"jsonrpc": "2.0", "id": "p", "method": "ping"})
    await server.say({"jsonrpc": "2.0", "id": "q", "method": "roots/list"})
    await eventually(lambda: server.count()["answer"] == 2)
    answers = {message["id"]: message for message in server.messages if "method" not in message}
    assert answers["p"]["result"] == {}
    assert answers["q"]["error"]["code"] == -32601
    assert server.headers[-1]["authorization"] == "Bearer hunter2"


async def test_a_question_goes_to_the_only_call_that_can_take_it(client: HttpClient, http: Http) -> None:
    async def ask(message: Message, say: Say) -> None:
        await say({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {}})
        await say(answer(message))

    server = SseServer(behaviour={"tools/call": ask})
    heard: list[object] = []

    async def hear(message: Request | Notification) -> None:
        heard.append(message)

    upstream = await made(server, client, http)
    await upstream.call("tools/call", {}, CREDENTIAL, on_message=hear)
    assert heard == [Request("q", "elicitation/create", {})]
    assert server.count()["answer"] == 0


async def test_closing_ends_the_stream(client: HttpClient, http: Http) -> None:
    server = SseServer()
    upstream = await made(server, client, http)
    await upstream.open(CREDENTIAL)
    await upstream.close(CREDENTIAL)
    await eventually(lambda: server.closed)


async def test_an_upstream_that_nobody_will_call_again_keeps_its_stream_until_the_last_call_is_answered(
    client: HttpClient, http: Http
) -> None:
    go_on = asyncio.Event()

    async def slow(message: Message, say: Say) -> None:
        await go_on.wait()
        await say(answer(message))

    server = SseServer(behaviour={"tools/call": slow})
    upstream = await made(server, client, http)
    last = asyncio.create_task(call(upstream))
    await eventually(lambda: server.count()["tools/call"])
    upstream.retire()
    assert not server.closed
    go_on.set()
    assert value_of(await last) == {}
    await eventually(lambda: server.closed)


async def test_changes_of_lists_are_heard_until_the_stream_ends(client: HttpClient, http: Http) -> None:
    server = SseServer(capabilities={"tools": {"listChanged": True}})
    heard = 0

    def hear() -> None:
        nonlocal heard
        heard += 1

    following = asyncio.create_task(follow(await made(server, client, http), CREDENTIAL, hear, 10))
    await eventually(lambda: heard == 1)
    await server.say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    await eventually(lambda: heard == 2)
    await server.say("")
    assert await following is True


@pytest.mark.parametrize("transport", ["Auto", "SSE"])
async def test_everything_of_a_server_is_discovered_over_its_stream(client: HttpClient, everything: str, transport: TransportName) -> None:
    upstream = Upstream(client, parse_endpoint(f"{everything}/sse"), IDENTITY, transport=transport)
    found = await discover(upstream, {})
    assert "test_simple_text" in {tool.name for tool in found.tools}
    assert found.server_info.name == "everything"
    response = await upstream.call("tools/call", params(name="test_simple_text"), {}, CallLimits(10))
    assert "simple text" in json.dumps(value_of(response))
    with contextlib.suppress(UpstreamError):
        await upstream.close({})
