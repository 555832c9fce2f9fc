"""Calls to servers of the older HTTP+SSE transport: their answers, and a stream that ends or says other things."""

import asyncio
from typing import Any

import pytest

from eventually import eventually
from recording_server import Http
from sse_server import Message, Say, SseServer, answer, hang_up, refuse
from upstream_calls import CREDENTIAL, call, older, params, value_of
from wharfinger_mcp import http_sse
from wharfinger_mcp.changes import follow
from wharfinger_mcp.errors import (
    BusyError,
    InterruptedCallError,
    RefusedError,
    SessionGoneError,
    TimedOutError,
    TooLargeError,
)
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import Notification, Request


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
    upstream = await older(server, client, http)
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
    upstream = await older(server, client, http)
    assert value_of(await call(upstream)) == {"called": {"name": "a"}}
    assert (server.count()["GET"], server.count()["tools/call"]) == (2, 2)
    await eventually(lambda: server.closed == 1)


async def test_a_server_that_never_knows_its_session_is_tried_twice_and_no_more(client: HttpClient, http: Http) -> None:
    server = SseServer(behaviour={"tools/call": refuse(404)})
    with pytest.raises(SessionGoneError, match="do its replicas share sessions"):
        await call(await older(server, client, http))
    assert server.count()["tools/call"] == 2


@pytest.mark.parametrize("status", [400, 401, 500])
async def test_a_refused_message_ends_its_call_and_no_other(client: HttpClient, http: Http, status: int) -> None:
    server = SseServer(behaviour={"tools/call": refuse(status)})
    upstream = await older(server, client, http)
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

    upstream = await older(SseServer(behaviour={"tools/call": later}), client, http)
    found = await asyncio.gather(*(upstream.call("tools/call", params(number=number), CREDENTIAL) for number in range(3)))
    assert [value_of(one) for one in found] == [{"number": number} for number in range(3)]


async def test_an_answer_that_nobody_waits_for_any_more_is_passed_over(client: HttpClient, http: Http) -> None:
    late: list[Message] = []

    async def keep(message: Message, say: Say) -> None:
        late.append(message)

    server = SseServer(behaviour={"tools/call": keep})
    upstream = await older(server, client, http)
    await upstream.open(CREDENTIAL)
    with pytest.raises(TimedOutError):
        await call(upstream, seconds=0.3)
    await server.say(answer(late[0]))
    assert value_of(await upstream.call("prompts/get", {}, CREDENTIAL)) == {"called": {}}


async def test_an_answer_beyond_the_bound_of_its_call_fails_that_call_alone(client: HttpClient, http: Http) -> None:
    async def much(message: Message, say: Say) -> None:
        await say(answer(message, much="x" * 200_000))

    upstream = await older(SseServer(behaviour={"tools/call": much}), client, http)
    with pytest.raises(TooLargeError, match="more than 100000 bytes"):
        await call(upstream, answer_bytes=100_000)
    assert value_of(await call(upstream))["much"].startswith("xxx")


async def test_no_more_calls_are_under_way_than_the_bound(client: HttpClient, http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_sse, "MAX_CALLS", 2)
    server = SseServer(behaviour={"tools/call": lambda message, say: asyncio.sleep(0)})
    upstream = await older(server, client, http)
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

    upstream = await older(SseServer(behaviour={"tools/call": tell}), client, http)
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

    upstream = await older(SseServer(behaviour={"tools/call": tell}), client, http)
    await asyncio.gather(*(upstream.call("tools/call", {}, CREDENTIAL, on_message=hear) for _ in range(2)))
    assert heard == ["notifications/progress"] * 2


async def test_a_ping_is_answered_and_a_question_to_nobody_refused(client: HttpClient, http: Http) -> None:
    server = SseServer()
    upstream = await older(server, client, http)
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

    upstream = await older(server, client, http)
    await upstream.call("tools/call", {}, CREDENTIAL, on_message=hear)
    assert heard == [Request("q", "elicitation/create", {})]
    assert server.count()["answer"] == 0


async def test_closing_ends_the_stream(client: HttpClient, http: Http) -> None:
    server = SseServer()
    upstream = await older(server, client, http)
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
    upstream = await older(server, client, http)
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

    following = asyncio.create_task(follow(await older(server, client, http), CREDENTIAL, hear, 10))
    await eventually(lambda: heard == 1)
    await server.say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    await eventually(lambda: heard == 2)
    await server.say("")
    assert await following is True
