"""Clients of both eras that want to hear when a resource of a server of either changes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from eventually import eventually
from gateway_caller import Answered, Caller, Json
from gateway_served import Serve, Served
from gateway_world import ALICE, BOB, Manifest, gateway, installation, pinned, snapshot_of
from http_sse_client import Sse
from watched_server import SUBSCRIPTION, WatchedServer, watched_server

UPDATED = "notifications/resources/updated"
every_client = pytest.mark.parametrize("client", ["streamable-http", "http-sse", "modern"])
pytestmark = pytest.mark.requirement("GW-5", "GW-16")


@pytest.fixture(params=["legacy", "modern"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[WatchedServer]:
    async with watched_server(request.param) as running:
        yield running


def world(server: WatchedServer, *, has_changed: bool = False, resources: tuple[str, ...] = ("a://0", "a://1")) -> list[Manifest]:
    """Return an installation, whose connection may be another one by now, and what a gateway shows of it."""
    bot = installation("bot", team="engineering", url=server.url, client_headers=not has_changed)
    return [*bot, gateway("tools", pinned("bot", resources=list(resources)))]


def start(serve: Serve, server: WatchedServer) -> Served:
    return serve(world(server))


async def subscribed(caller: Caller, uri: str, *, client: str) -> asyncio.Task[Answered]:
    """Have a client told of a resource, and return its stream."""
    if client == "http-sse":
        sse = Sse(caller)
        await sse.open()
        await sse.initialize()
        assert (await sse.ask("resources/subscribe", {"uri": uri}))["result"] == {}
        return sse.stream
    if client == "streamable-http":
        await caller.initialize()
        assert (await caller.request("resources/subscribe", {"uri": uri})).result == {}
        return await listening(caller)
    stream = asyncio.create_task(caller.modern("subscriptions/listen", {"notifications": {"resourceSubscriptions": [uri]}}))
    await eventually(lambda: caller.channel.said)
    return stream


def uris(caller: Caller) -> list[str]:
    return [str(one["uri"]) for one in told(caller)]


def told(caller: Caller) -> list[Json]:
    return [one["params"] for one in caller.channel.said if one.get("method") == UPDATED]


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


@every_client
async def test_a_subscription_goes_on_where_the_connection_to_its_server_has_changed(
    serve: Serve, server: WatchedServer, client: str
) -> None:
    served = start(serve, server)
    caller = served.caller(ALICE)
    stream = await subscribed(caller, "a://0", client=client)
    await eventually(lambda: len(server.streams) == 1)
    served.put_in_force(snapshot_of(world(server, has_changed=True)))
    # Of what happened meanwhile nobody has heard: it counts as changed.
    await eventually(lambda: uris(caller) == ["a://0"])
    await eventually(lambda: len(server.streams) == 1 and server.watched == {"a://0"})
    await server.changed("a://0")
    await eventually(lambda: uris(caller) == ["a://0", "a://0"])
    assert "resources/unsubscribe" not in [one.method for one in server.requests]  # with a credential that counts no more
    caller.channel.leave()
    await asyncio.wait_for(stream, 5)


async def test_a_legacy_client_that_did_not_listen_meanwhile_is_told_when_it_does(serve: Serve, server: WatchedServer) -> None:
    served = start(serve, server)
    caller = served.caller(ALICE)
    await caller.initialize()
    await caller.request("resources/subscribe", {"uri": "a://0"})
    served.put_in_force(snapshot_of(world(server, has_changed=True)))
    await eventually(lambda: not server.streams)
    stream = await listening(caller)
    await eventually(lambda: uris(caller) == ["a://0"])
    await server.changed("a://0")
    await eventually(lambda: uris(caller) == ["a://0", "a://0"])
    caller.channel.leave()
    await asyncio.wait_for(stream, 5)


@every_client
async def test_who_may_not_read_a_resource_any_more_hears_nothing_of_it(serve: Serve, server: WatchedServer, client: str) -> None:
    served = start(serve, server)
    caller, other = served.caller(ALICE), served.caller(ALICE)
    streams = [await subscribed(caller, "a://0", client=client), await subscribed(other, "a://1", client=client)]
    await eventually(lambda: server.streams and server.watched == {"a://0", "a://1"})
    served.put_in_force(snapshot_of(world(server, resources=("a://1",))))
    await eventually(lambda: len(server.streams) == 1 and server.watched == {"a://1"})
    for uri in ("a://0", "a://1"):
        await server.changed(uri)
    await eventually(lambda: uris(other) == ["a://1"])
    assert uris(caller) == []
    served.put_in_force(snapshot_of(world(server)))
    await eventually(lambda: uris(caller) == ["a://0"])
    for one in (caller, other):
        one.channel.leave()
    await asyncio.wait_for(asyncio.gather(*streams), 5)


async def test_what_changed_before_the_right_to_read_it_was_taken_away_is_not_told_either(serve: Serve, server: WatchedServer) -> None:
    served = start(serve, server)
    caller = served.caller(ALICE)
    await caller.initialize()
    for uri in ("a://0", "a://1"):
        await caller.request("resources/subscribe", {"uri": uri})
    await eventually(lambda: server.streams and server.watched == {"a://0", "a://1"})
    for uri in ("a://0", "a://1"):
        await server.changed(uri)
    await asyncio.sleep(0.1)
    served.put_in_force(snapshot_of(world(server, resources=("a://1",))))
    stream = await listening(caller)
    await eventually(lambda: uris(caller) == ["a://1"])
    caller.channel.leave()
    await asyncio.wait_for(stream, 5)


@every_client
async def test_a_server_that_cannot_be_asked_at_its_new_connection_is_asked_again(
    serve: Serve, server: WatchedServer, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger_gateway.listeners.LOOK_SECONDS", 0.05)
    served = start(serve, server)
    callers = [served.caller(ALICE) for _ in range(3)]
    streams = [await subscribed(caller, "a://0", client=client) for caller in callers]
    server.is_away = True
    server.lose_everything()
    served.put_in_force(snapshot_of(world(server, has_changed=True)))
    await asyncio.sleep(0.2)
    assert [uris(caller) for caller in callers] == [[], [], []]
    server.is_away = False
    await eventually(lambda: all(uris(caller) for caller in callers) and server.watched == {"a://0"})
    for caller in callers:
        caller.channel.leave()
    await asyncio.wait_for(asyncio.gather(*streams), 5)
