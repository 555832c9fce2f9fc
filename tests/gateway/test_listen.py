"""Streams on which clients hear that what they see has changed."""

import asyncio
import dataclasses
from typing import Any

import pytest

from eventually import eventually
from gateway_caller import Answered, Caller, Json
from gateway_served import Serve
from gateway_world import ALICE, BOB, Manifest, gateway, installation, pinned, snapshot_of, tool

CHANGED = "notifications/tools/list_changed"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
ERAS = pytest.mark.parametrize("modern", [False, True], ids=["legacy client", "modern client"])
pytestmark = pytest.mark.requirement("INS-5")


def world(*tools: str, **gateway_spec: Any) -> list[Manifest]:
    found = [tool(name) for name in tools]
    return [*installation("bot", team="engineering", url="http://bot:1/mcp", tools=found), gateway("tools", pinned("bot"), **gateway_spec)]


async def open_stream(caller: Caller, *, modern: bool) -> asyncio.Task[Answered]:
    if modern:
        wanted = {"notifications": {"toolsListChanged": True, "taskIds": ["x"], "resourceSubscriptions": ["a://b"]}}
        opened = asyncio.create_task(caller.modern("subscriptions/listen", wanted, id_="s"))
    else:
        await caller.initialize()
        opened = asyncio.create_task(caller.send(verb="GET"))
    await eventually(lambda: caller.channel.is_open)
    # The stream has looked once by then.
    await asyncio.sleep(0)
    return opened


def said(caller: Caller) -> list[Json]:
    return [one for one in caller.channel.said if one["method"] == CHANGED]


@ERAS
async def test_a_change_of_what_the_caller_sees_is_told_and_nothing_else(serve: Serve, modern: bool) -> None:
    served = serve(world("a", "b"))
    caller = served.caller(ALICE)
    stream = await open_stream(caller, modern=modern)
    assert said(caller) == []
    for manifests, told in ((world("a", "c"), 1), (world("a", "c", limits={"callTimeout": "5s"}), 1), (world("a"), 2)):
        assert served.current.publish(snapshot_of(*manifests))
        await eventually(lambda: len(said(caller)) == told)  # noqa: B023 - awaited at once
    assert not stream.done()
    meta = {"params": {"_meta": {SUBSCRIPTION: "s"}}} if modern else {}
    assert said(caller) == [{"jsonrpc": "2.0", "method": CHANGED} | meta] * 2
    caller.channel.leave()
    await asyncio.wait_for(stream, 5)


async def test_a_subscription_begins_with_what_is_granted_and_ends_with_a_result(serve: Serve) -> None:
    served = serve(world("a"))
    caller = served.caller(ALICE)
    stream = await open_stream(caller, modern=True)
    granted = {"notifications": {"toolsListChanged": True}, "_meta": {SUBSCRIPTION: "s"}}
    assert caller.channel.said == [{"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": granted}]
    await served.pipeline.drain()
    answered = await asyncio.wait_for(stream, 5)
    assert answered.message["id"] == "s"
    assert answered.result == {"resultType": "complete", "_meta": {SUBSCRIPTION: "s"}}


@pytest.mark.parametrize("wanted", [{}, {"notifications": None}, {"notifications": ["toolsListChanged"]}, {"notifications": 3}])
async def test_a_subscription_to_nothing_that_can_be_read_is_refused(serve: Serve, wanted: Json) -> None:
    answered = await serve(world("a")).caller(ALICE).modern("subscriptions/listen", wanted)
    assert (answered.status, answered.error["code"]) == (400, -32602)


@ERAS
@pytest.mark.parametrize("how", ["token disabled", "token gone", "gateway gone", "gateway hidden"])
async def test_a_stream_ends_when_its_caller_may_not_see_the_gateway_any_more(serve: Serve, modern: bool, how: str) -> None:
    served = serve(world("a"))
    caller, other = served.caller(ALICE), served.caller(BOB)
    stream, others = await open_stream(caller, modern=modern), await open_stream(other, modern=modern)
    tokens = served.current.tokens
    match how:
        case "token disabled":
            served.current.publish_tokens({k: dataclasses.replace(v, disabled=v.subject == "okta:alice") for k, v in tokens.items()})
        case "token gone":
            served.current.publish_tokens({k: v for k, v in tokens.items() if v.subject != "okta:alice"})
        case "gateway gone":
            served.current.publish(snapshot_of(*world("a")[:-1]))
        case _:
            served.current.publish(snapshot_of(*world("a", visibility={"scope": "Team", "teams": ["sales"]})))
    await asyncio.wait_for(stream, 5)
    assert said(caller) == []
    assert others.done() == (how == "gateway gone")
    other.channel.leave()
    await asyncio.wait_for(others, 5)


async def test_a_session_has_one_stream_the_newest_and_it_ends_with_the_session(serve: Serve) -> None:
    caller = serve(world("a")).caller(ALICE)
    first = await open_stream(caller, modern=False)
    second = asyncio.create_task(caller.send(verb="GET"))
    answered = await asyncio.wait_for(first, 5)
    assert (answered.status, answered.reply.body) == (200, b"")
    assert not second.done()
    assert (await caller.send(verb="DELETE")).status == 204
    await asyncio.wait_for(second, 5)


async def test_a_stream_needs_a_session_of_ones_own_and_a_client_that_takes_one(serve: Serve) -> None:
    served = serve(world("a"))
    caller = served.caller(ALICE)
    assert (await caller.send(verb="GET")).status == 405
    await caller.initialize()
    stranger = served.caller(BOB)
    stranger.session = caller.session
    assert (await stranger.send(verb="GET")).status == 404
    assert (await caller.send(verb="GET", Accept="application/json")).status == 406


async def test_streams_beyond_their_number_are_refused_and_after_the_drain_every_one(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wharfinger_gateway.listeners.MAX_STREAMS", 1)
    served = serve(world("a"))
    first, second = served.caller(ALICE), served.caller(ALICE)
    stream = await open_stream(first, modern=False)
    await second.initialize()
    assert (await second.send(verb="GET")).status == 503
    await served.pipeline.drain()
    await asyncio.wait_for(stream, 5)
    assert (await second.send(verb="GET")).status == 503
