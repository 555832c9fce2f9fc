"""What legacy clients and servers say beside calls and answers: on questions that are open, and outside of any call."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from asking_scene import ABLE, OPENS, answer, asked, legacy_caller, world
from asking_server import FORM, QUESTION, AskingServer
from eventually import eventually
from gateway_caller import Caller, Json
from gateway_served import Serve
from gateway_world import ALICE, BOB, gateway, installation, pinned
from own_address import ADDRESS
from recording_server import serving
from sse_server import Message, Say, SseServer
from sse_server import answer as answer_of

pytestmark = pytest.mark.requirement("GW-5", "GW-4")

PROGRESS = "notifications/progress"
CANCELLED = "notifications/cancelled"
ROOTS = "notifications/roots/list_changed"
COMPLETE: Json = {"jsonrpc": "2.0", "method": "notifications/elicitation/complete", "params": {"elicitationId": "e"}}
DONE = {"content": [{"type": "text", "text": "done"}]}


async def tell(caller: Caller, method: str, **params: object) -> None:
    """Say something that wants no answer."""
    body = {"jsonrpc": "2.0", "method": method, "params": params}
    assert (await caller.send(json.dumps(body).encode())).status == 202


def heard(server: AskingServer, method: str) -> list[Json]:
    return [one.message["params"] for one in server.requests if one.method == method]


async def write(server: AskingServer, message: Json) -> None:
    """Say something on the stream that a GET opened."""
    await server.streams[-1].write(b"data: " + json.dumps(message).encode() + b"\n\n")


@asynccontextmanager
async def listening(caller: Caller) -> AsyncIterator[None]:
    """Have a client listen to its session."""
    stream = asyncio.create_task(caller.send(verb="GET"))
    await eventually(lambda: caller.channel.is_open)
    yield
    caller.channel.leave()
    await asyncio.wait_for(stream, 5)


async def test_an_older_server_is_told_that_its_own_clients_roots_have_changed(serve: Serve, old_asking: AskingServer) -> None:
    served = serve(world(old_asking))
    caller, stranger = await legacy_caller(served), await legacy_caller(served)
    for one in (stranger, caller):
        await one.call("bot__echo")
    await tell(caller, ROOTS)
    await eventually(lambda: [one for one in old_asking.requests if one.method == ROOTS])

    (told,) = [one for one in old_asking.requests if one.method == ROOTS]
    assert told.header("Mcp-Session-Id") == old_asking.calls()[-1].header("Mcp-Session-Id")
    assert told.header("Authorization") == old_asking.calls()[-1].header("Authorization")
    assert [one["capabilities"]["roots"] for one in heard(old_asking, "initialize")] == [ABLE["roots"]] * 2


async def test_a_server_of_the_newest_era_is_not_told_that_roots_have_changed(serve: Serve, new_asking: AskingServer) -> None:
    caller = await legacy_caller(serve(world(new_asking)))
    await caller.call("bot__echo")
    await tell(caller, ROOTS)
    for _ in range(3):
        await caller.call("bot__echo")

    assert not heard(new_asking, ROOTS)


async def test_how_far_a_client_is_with_its_answer_is_told_under_the_servers_token(serve: Serve, old_asking: AskingServer) -> None:
    old_asking.questions = [("elicitation/create", FORM | {"_meta": {"progressToken": 7, "acme": True}})]
    served = serve(world(old_asking))
    caller, stranger = await legacy_caller(served), await legacy_caller(served)
    calling = asyncio.create_task(caller.call("bot__ask"))
    question = await asked(caller)
    meta = question["params"]["_meta"]
    await tell(stranger, PROGRESS, progressToken=meta["progressToken"], progress=1)
    await tell(caller, PROGRESS, progressToken=7, progress=2)
    for value in range(3, 9):
        await tell(caller, PROGRESS, progressToken=meta["progressToken"], progress=value, x=[value])
    await eventually(lambda: len(heard(old_asking, PROGRESS)) == 6)
    await answer(caller, question)
    await asyncio.wait_for(calling, 5)
    await tell(caller, PROGRESS, progressToken=meta["progressToken"], progress=9)
    await caller.call("bot__echo")

    assert meta["acme"] is True
    assert meta["progressToken"] != 7
    assert heard(old_asking, PROGRESS) == [{"progressToken": 7, "progress": value, "x": [value]} for value in range(3, 9)]


async def test_a_question_that_a_server_takes_back_is_taken_back_from_the_client(serve: Serve, old_asking: AskingServer) -> None:
    caller = await legacy_caller(serve(world(old_asking)))
    calling = asyncio.create_task(caller.call("bot__ask"))
    question = await asked(caller)
    (named,) = old_asking.asked
    for unknown in ("another", None, [1]):
        await write(old_asking, {"jsonrpc": "2.0", "method": CANCELLED, "params": {"requestId": unknown}})
    await write(old_asking, {"jsonrpc": "2.0", "method": CANCELLED, "params": {"requestId": named}})
    await eventually(lambda: len(caller.channel.said) > 1)
    await answer(caller, question)
    for number in range(3):
        await caller.request("tools/call", {"name": "bot__echo", "arguments": {}}, id_=f"later-{number}")

    assert caller.channel.said[1:] == [{"jsonrpc": "2.0", "method": CANCELLED, "params": {"requestId": question["id"]}}]
    assert old_asking.answers_got == 0
    calling.cancel()


async def test_a_question_that_an_http_sse_server_takes_back_is_taken_back_from_the_client(serve: Serve) -> None:
    async def ask(message: Message, say: Say) -> None:
        await say({"jsonrpc": "2.0", "id": 5, "method": QUESTION[0], "params": QUESTION[1]})

    server = SseServer(behaviour={"tools/call": ask})
    async with serving(host=ADDRESS) as start:
        bot = installation("bot", team="engineering", url=f"http://{(await start(server)).host}/mcp", transport="SSE")
        caller = await legacy_caller(serve(bot, gateway("tools", pinned("bot"))))
        calling = asyncio.create_task(caller.call("bot__echo"))
        question = await asked(caller)
        (call,) = [one for one in server.messages if one.get("method") == "tools/call"]
        await server.say({"jsonrpc": "2.0", "method": CANCELLED, "params": {"requestId": 5}})
        await server.say(answer_of(call, **DONE))
        assert (await asyncio.wait_for(calling, 5)).text == "done"

    assert caller.channel.said[1:] == [{"jsonrpc": "2.0", "method": CANCELLED, "params": {"requestId": question["id"]}}]
    assert not [one for one in server.messages if one.get("id") == 5]


async def test_that_a_page_is_done_with_after_the_call_is_told_on_the_stream_of_its_client_alone(
    serve: Serve, old_asking: AskingServer
) -> None:
    old_asking.error = {"code": -32042, "message": "open this", "data": {"elicitations": []}}
    served = serve(world(old_asking))
    callers = [await legacy_caller(served, token, OPENS) for token in (ALICE, BOB, ALICE)]
    async with listening(callers[0]), listening(callers[1]), listening(callers[2]):
        await callers[1].call("bot__echo")
        await callers[2].call("bot__echo")
        assert (await callers[0].call("bot__ask")).error["code"] == -32042
        await write(old_asking, {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "loud", "data": 1}})
        await write(old_asking, {"jsonrpc": "2.0", "method": PROGRESS, "params": {"progressToken": 1, "progress": 1}})
        await write(old_asking, COMPLETE)
        await eventually(lambda: callers[0].channel.said)

        assert [one.channel.said for one in callers] == [[COMPLETE], [], []]


async def test_that_a_page_of_an_http_sse_server_is_done_with_is_told_on_its_clients_stream(serve: Serve) -> None:
    error = {"code": -32042, "message": "open this", "data": {"elicitations": []}}

    async def refuse(message: Message, say: Say) -> None:
        await say({"jsonrpc": "2.0", "id": message["id"], "error": error})

    server = SseServer(behaviour={"tools/call": refuse})
    async with serving(host=ADDRESS) as start:
        bot = installation("bot", team="engineering", url=f"http://{(await start(server)).host}/mcp", transport="SSE")
        caller = await legacy_caller(serve(bot, gateway("tools", pinned("bot"))), capabilities=OPENS)
        async with listening(caller):
            assert (await caller.call("bot__echo")).error == error
            await server.say(COMPLETE)
            await eventually(lambda: caller.channel.said)
            assert caller.channel.said == [COMPLETE]


async def test_what_an_http_sse_server_logs_during_a_call_is_told_once(serve: Serve) -> None:
    said = [
        {"jsonrpc": "2.0", "method": method, "params": {"level": "info", "data": 1}}
        for method in ("notifications/message", "notifications/acme")
    ]

    async def log(message: Message, say: Say) -> None:
        for one in said:
            await say(one)
        await say(answer_of(message, **DONE))

    async with serving(host=ADDRESS) as start:
        bot = installation(
            "bot", team="engineering", url=f"http://{(await start(SseServer(behaviour={'tools/call': log}))).host}/mcp", transport="SSE"
        )
        caller = await legacy_caller(serve(bot, gateway("tools", pinned("bot"))))
        async with listening(caller):
            for count in (1, 2):
                assert (await caller.call("bot__echo")).text == "done"
                assert caller.channel.said == said * count
