"""Clients of both eras that want to hear when a resource of a server of either changes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from eventually import eventually
from gateway_caller import Answered, Caller, Json
from gateway_served import Serve, Served
from gateway_world import ALICE, BOB, gateway, installation, pinned
from watched_server import SUBSCRIPTION, WatchedServer, watched_server

UPDATED = "notifications/resources/updated"
pytestmark = pytest.mark.requirement("GW-5", "GW-16")


@pytest.fixture(params=["legacy", "modern"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[WatchedServer]:
    async with watched_server(request.param) as running:
        yield running


def start(serve: Serve, server: WatchedServer) -> Served:
    return serve(installation("bot", team="engineering", url=server.url), gateway("tools", pinned("bot", resources=["a://0", "a://1"])))


def told(caller: Caller) -> list[Json]:
    return [one["params"] for one in caller.channel.said if one["method"] == UPDATED]


async def listening(caller: Caller) -> asyncio.Task[Answered]:
    stream = asyncio.create_task(caller.send(verb="GET"))
    await eventually(lambda: caller.channel.is_open)
    return stream


async def test_a_legacy_client_is_told_on_its_stream_of_what_it_subscribed_to(serve: Serve, server: WatchedServer) -> None:
    served = start(serve, server)
    caller, other = served.caller(ALICE), served.caller(ALICE)
    streams = []
    for one in (caller, other):
        await one.initialize()
        streams.append(await listening(one))
    assert (await caller.request("resources/subscribe", {"uri": "a://0"})).result == {}
    assert (await caller.request("resources/subscribe", {"uri": "a://0"})).result == {}
    assert server.watched == {"a://0"}
    for uri in ("a://0", "a://1"):
        await server.changed(uri)
    await eventually(lambda: told(caller) == [{"uri": "a://0"}])
    assert (await caller.request("resources/unsubscribe", {"uri": "a://0"})).result == {}
    if server.era == "legacy":
        await eventually(lambda: not server.watched)
    await server.changed("a://0")
    await asyncio.sleep(0.1)
    assert (told(caller), told(other)) == ([{"uri": "a://0"}], [])
    for one in (caller, other):
        one.channel.leave()
    await asyncio.gather(*streams)


async def test_a_modern_client_is_told_within_its_subscription(serve: Serve, server: WatchedServer) -> None:
    caller = start(serve, server).caller(ALICE)
    wanted = {"notifications": {"resourceSubscriptions": ["a://1", "a://2", 3, "a://1"]}}
    stream = asyncio.create_task(caller.modern("subscriptions/listen", wanted, id_="s"))
    await eventually(lambda: caller.channel.said)
    meta = {"_meta": {SUBSCRIPTION: "s"}}
    assert caller.channel.said[0]["params"] == {"notifications": {"resourceSubscriptions": ["a://1"]}} | meta
    for uri in ("a://1", "a://2"):
        await server.changed(uri)
    await eventually(lambda: told(caller) == [{"uri": "a://1"} | meta])
    caller.channel.leave()
    await asyncio.wait_for(stream, 5)
    if server.era == "legacy":
        await eventually(lambda: not server.watched)


async def test_a_server_is_asked_once_for_all_sessions_of_a_caller_and_again_for_nobody_elses(serve: Serve, server: WatchedServer) -> None:
    served = start(serve, server)
    callers = [served.caller(token) for token in (ALICE, ALICE, BOB)]
    for caller in callers:
        await caller.initialize()
        assert (await caller.request("resources/subscribe", {"uri": "a://0"})).result == {}
    asked = [one for one in server.requests if one.method in ("resources/subscribe", "subscriptions/listen")]
    assert len(asked) == 2
    assert (await callers[0].send(verb="DELETE")).status == 204
    await asyncio.sleep(0.1)
    assert server.watched == {"a://0"}


async def test_what_is_not_selected_or_not_told_of_cannot_be_subscribed_to(serve: Serve, server: WatchedServer) -> None:
    server.refuses = server.era == "legacy"
    caller = start(serve, server).caller(ALICE)
    await caller.initialize()
    for params in ({"uri": "a://2"}, {"uri": "b://"}, {}, {"uri": 3}):
        assert (await caller.request("resources/subscribe", params)).error["code"] == -32602
    if server.era == "legacy":
        assert (await caller.request("resources/subscribe", {"uri": "a://0"})).error["code"] == -32000
    for method in ("resources/subscribe", "resources/unsubscribe"):
        assert (await caller.modern(method, {"uri": "a://0"})).status == 404
