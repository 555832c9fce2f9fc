"""Clients of both eras are told when a server of either says that its prompts or resources have changed, and keep being told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from eventually import eventually
from gateway_caller import Answered, Caller, Json
from gateway_served import Serve, Served
from gateway_world import ALICE, BOB, Manifest, gateway, installation, pinned, snapshot_of, tool
from watched_server import SUBSCRIPTION, WatchedServer, watched_server

pytestmark = pytest.mark.requirement("GW-5", "GW-14", "INS-5")
ITEMS: dict[str, Json] = {"prompts": {"name": "new"}, "resources": {"uri": "a://new", "name": "new"}}
KEYS = {"prompts": "bot__new", "resources": "a://new"}
both_clients = pytest.mark.parametrize("modern", [False, True], ids=["legacy-client", "modern-client"])


@pytest.fixture(params=["legacy", "modern"])
async def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WatchedServer]:
    monkeypatch.setattr("wharfinger_gateway.watched.FIRST_PAUSE_SECONDS", 0.01)
    async with watched_server(request.param) as running:
        yield running


def world(server: WatchedServer, **selection: Any) -> list[Manifest]:
    selected = {"prompts": ["*"], "resources": ["*"]} | selection
    return [
        *installation("bot", team="engineering", url=server.url),
        gateway("tools", pinned("bot", **selected)),
        gateway("plain", pinned("bot")),
    ]


def told(caller: Caller, kind: str) -> int:
    return len([one for one in caller.channel.said if one["method"] == f"notifications/{kind}/list_changed"])


def updated(caller: Caller) -> list[str]:
    return [one["params"]["uri"] for one in caller.channel.said if one["method"] == "notifications/resources/updated"]


async def listening(caller: Caller, *, modern: bool, resources: tuple[str, ...] = ()) -> asyncio.Task[Answered]:
    if modern:
        wanted = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True} | (
            {"resourceSubscriptions": list(resources)} if resources else {}
        )
        stream = asyncio.create_task(caller.modern("subscriptions/listen", {"notifications": wanted}, id_="s"))
    else:
        await caller.initialize()
        stream = asyncio.create_task(caller.send(verb="GET"))
    await eventually(lambda: caller.channel.is_open)
    return stream


async def lists_followed(served: Served) -> None:
    """Wait until the one server is asked to tell of its lists, which is after its clients have been answered."""
    ((_, _, reached),) = served.upstreams._kept
    await eventually(lambda: reached.watched._lists.keys() == {"prompts", "resources"})


async def asked_for_more(serve: Serve, server: WatchedServer) -> tuple[Caller, Caller, list[asyncio.Task[Answered]]]:
    """Return one client that is served, another for which the server is asked to tell of more, and their streams; it does not take that up yet."""
    served = serve(world(server))
    first, second = served.caller(ALICE), served.caller(ALICE)
    streams = [await listening(first, modern=True, resources=("a://0",))]
    await lists_followed(served)
    await eventually(lambda: len(server.streams) == 1)
    server.takes_up.clear()
    streams.append(asyncio.create_task(second.modern("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["a://1"]}})))
    await eventually(lambda: server.watched == {"a://0", "a://1"})
    return first, second, streams


async def listed(caller: Caller, kind: str, *, modern: bool) -> list[str]:
    answered = await (caller.modern if modern else caller.request)(f"{kind}/list")
    return [one["uri" if kind == "resources" else "name"] for one in answered.result[kind]]


async def ended(*streams: asyncio.Task[Answered], callers: tuple[Caller, ...]) -> None:
    for caller in callers:
        caller.channel.leave()
    await asyncio.wait_for(asyncio.gather(*streams), 5)


@both_clients
@pytest.mark.parametrize("kind", ["prompts", "resources"])
async def test_what_a_server_announces_is_told_once_and_is_in_the_next_list(
    serve: Serve, server: WatchedServer, modern: bool, kind: str
) -> None:
    served = serve(world(server))
    caller, other = served.caller(ALICE), served.caller(ALICE, "dev.plain")
    streams = [await listening(caller, modern=modern), await listening(other, modern=modern)]
    assert KEYS[kind] not in await listed(caller, kind, modern=modern)
    await eventually(lambda: server.streams)
    server.lists[f"{kind}/list"].append(ITEMS[kind])
    for _ in range(5):
        await server.list_changed(kind)
        await asyncio.sleep(0.01)  # so that each arrives alone
    await eventually(lambda: told(caller, kind))
    assert KEYS[kind] in await listed(caller, kind, modern=modern)
    await asyncio.sleep(0.4)
    assert (told(caller, kind), told(other, kind)) == (1, 0)
    message = next(one for one in caller.channel.said if one["method"].endswith(f"{kind}/list_changed"))
    assert message.get("params", {}).get("_meta", {}) == ({SUBSCRIPTION: "s"} if modern else {})
    await ended(*streams, callers=(caller, other))


@both_clients
async def test_a_changed_selection_is_told_to_who_sees_it(serve: Serve, server: WatchedServer, modern: bool) -> None:
    served = serve(world(server))
    caller, other = served.caller(ALICE), served.caller(ALICE, "dev.plain")
    streams = [await listening(caller, modern=modern), await listening(other, modern=modern)]
    await eventually(lambda: server.streams)
    served.current.publish(snapshot_of(world(server, prompts=["p1"])))
    await eventually(lambda: told(caller, "prompts"))
    assert await listed(caller, "prompts", modern=modern) == ["bot__p1"]
    assert (told(caller, "prompts"), told(caller, "resources"), told(other, "prompts")) == (1, 0, 0)
    await ended(*streams, callers=(caller, other))


@both_clients
async def test_after_a_server_lost_everything_it_is_asked_again_and_its_clients_are_told_once(
    serve: Serve, server: WatchedServer, modern: bool
) -> None:
    served = serve(world(server))
    caller = served.caller(ALICE)
    stream = await listening(caller, modern=modern, resources=("a://0", "a://1"))
    if not modern:
        for uri in ("a://0", "a://1"):
            assert (await caller.request("resources/subscribe", {"uri": uri})).result == {}
    await lists_followed(served)
    await eventually(lambda: server.watched == {"a://0", "a://1"} and len(server.streams) == 1)
    for again in (1, 2):
        server.lose_everything()
        await eventually(lambda: server.watched == {"a://0", "a://1"} and len(server.streams) == 1)
        await eventually(lambda: len(updated(caller)) == 2 * again and told(caller, "prompts") == again)  # noqa: B023 - awaited at once
    await server.changed("a://0")
    await eventually(lambda: len(updated(caller)) == 5)
    assert sorted(updated(caller)[:4]) == ["a://0", "a://0", "a://1", "a://1"]
    await ended(stream, callers=(caller,))


@pytest.mark.parametrize("server", ["modern"], indirect=True)
async def test_until_a_server_listens_to_what_is_watched_now_it_is_heard_as_it_was(serve: Serve, server: WatchedServer) -> None:
    first, second, streams = await asked_for_more(serve, server)
    await server.changed("a://0")
    await eventually(lambda: updated(first) == ["a://0"])
    server.takes_up.set()
    await eventually(lambda: second.channel.is_open and len(server.streams) == 1)
    await server.changed("a://1")
    await eventually(lambda: updated(second) == ["a://1"])
    assert updated(first) == ["a://0"]
    await ended(*streams, callers=(first, second))


@pytest.mark.parametrize("server", ["modern"], indirect=True)
async def test_what_is_lost_while_a_server_is_asked_to_listen_to_more_is_made_good(serve: Serve, server: WatchedServer) -> None:
    first, second, streams = await asked_for_more(serve, server)
    server.lose_everything()
    await eventually(lambda: not server.streams)
    server.takes_up.set()
    await eventually(lambda: updated(first) == ["a://0"] and told(first, "prompts") == 1)
    await ended(*streams, callers=(first, second))


@pytest.mark.parametrize("server", ["modern"], indirect=True)
async def test_who_comes_after_everybody_has_left_is_told_nothing_of_what_they_missed(serve: Serve, server: WatchedServer) -> None:
    served = serve(world(server))
    first, second = served.caller(ALICE), served.caller(ALICE)
    stream = await listening(first, modern=True, resources=("a://0",))
    await lists_followed(served)
    await eventually(lambda: len(server.streams) == 1)
    server.takes_up.clear()
    server.lose_everything()
    await eventually(lambda: not server.streams and server.watched == {"a://0"})
    await ended(stream, callers=(first,))
    server.takes_up.set()
    stream = await listening(second, modern=True, resources=("a://0",))
    await lists_followed(served)
    await eventually(lambda: server.watched == {"a://0"} and len(server.streams) == 1)
    await server.list_changed("prompts")
    await eventually(lambda: told(second, "prompts"))
    assert updated(second) == []
    await ended(stream, callers=(second,))


@both_clients
async def test_a_server_that_was_away_when_the_stream_began_is_followed_later(
    serve: Serve, server: WatchedServer, modern: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger_gateway.listeners.LOOK_SECONDS", 0.05)
    server.is_away = True
    served = serve(world(server))
    caller = served.caller(ALICE)
    stream = await listening(caller, modern=modern)
    await eventually(lambda: len(served.upstreams) == 1)
    await asyncio.sleep(0.1)
    server.is_away = False
    await eventually(lambda: server.streams)
    await server.list_changed("prompts")
    await eventually(lambda: told(caller, "prompts"))
    await ended(stream, callers=(caller,))


async def test_where_nobody_is_to_be_told_nobody_is_asked(serve: Serve, server: WatchedServer) -> None:
    server.announces = False
    served = serve(world(server))
    silent = served.caller(ALICE)
    stream = await listening(silent, modern=True)
    granted = next(one for one in silent.channel.said if one["method"].endswith("acknowledged"))["params"]["notifications"]
    assert granted == {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
    plain = served.caller(BOB, "dev.plain")
    other = await listening(plain, modern=True)
    granted = next(one for one in plain.channel.said if one["method"].endswith("acknowledged"))["params"]["notifications"]
    assert granted == {"toolsListChanged": True}
    assert await listed(silent, "prompts", modern=True) == ["bot__p0", "bot__p1"]
    assert not server.streams
    await ended(stream, other, callers=(silent, plain))


@both_clients
async def test_a_stream_that_ends_ends_the_one_to_the_server(serve: Serve, server: WatchedServer, modern: bool) -> None:
    served: Served = serve(world(server))
    caller, other = served.caller(ALICE), served.caller(ALICE)
    streams = [await listening(caller, modern=modern), await listening(other, modern=modern)]
    await eventually(lambda: len(server.streams) == 1)
    await ended(streams[0], callers=(caller,))
    await server.list_changed("prompts")
    await eventually(lambda: told(other, "prompts"))
    assert told(caller, "prompts") == 0
    await ended(streams[1], callers=(other,))
    if server.era == "modern":
        await eventually(lambda: not server.streams)
    ((_, _, reached),) = served.upstreams._kept
    assert not reached.watched.is_used


async def test_a_stream_stays_where_it_is_while_its_caller_calls(serve: Serve, server: WatchedServer) -> None:
    manifests = [
        *installation("bot", team="engineering", url=server.url, tools=[tool("wait")]),
        gateway("tools", pinned("bot", prompts=["*"])),
    ]
    served = serve(manifests)
    able: Json = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
    caller = served.caller(ALICE)
    wanted = {"notifications": {"promptsListChanged": True}}
    stream = asyncio.create_task(caller.modern("subscriptions/listen", wanted, meta=able))
    await eventually(lambda: len(server.streams) == 1)
    call = asyncio.create_task(served.caller(ALICE).modern("tools/call", {"name": "bot__wait"}, meta=able))
    await eventually(server.calls)
    served.current.publish(snapshot_of(manifests, installation("other", team="engineering")))
    await asyncio.sleep(0.1)
    assert (len(server.streams), len(served.upstreams)) == (1, 1)
    server.gate.set()
    await call
    caller.channel.leave()
    await asyncio.wait_for(stream, 5)


async def test_who_comes_in_the_moment_in_which_the_last_one_leaves_is_told(serve: Serve, server: WatchedServer) -> None:
    served = serve(world(server))
    caller = served.caller(ALICE)
    stream = await listening(caller, modern=True)
    await lists_followed(served)
    await eventually(lambda: len(server.streams) == 1)
    ((_, _, reached),) = served.upstreams._kept
    heard: list[str] = []
    for tell in [*reached.watched._lists.pop("resources"), *reached.watched._lists["prompts"]]:
        reached.watched.unwatch_list("prompts", tell)
    await reached.watched.watch_list("resources", heard.append, reached.headers)
    await eventually(lambda: len(server.streams) == 1)
    server.lose_everything()
    # Asked again: for what was said meanwhile everybody is told.
    await eventually(lambda: heard == ["resources"])
    await ended(stream, callers=(caller,))
