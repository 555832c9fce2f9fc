"""One caller takes what he can get of a running gateway, and what another has of it stays his."""

import asyncio
import json
from pathlib import Path

import pytest

from asking_scene import ANSWER
from asking_server import AskingServer
from bounded_scene import PATH, scene
from eventually import eventually
from gateway_world import ALICE, BOB

pytestmark = pytest.mark.requirement("GW-12")


async def test_a_flood_of_sessions_ends_the_floods_own(tmp_path: Path, old_asking: AskingServer) -> None:
    async with scene(tmp_path, old_asking, {"sessions.MAX_SESSIONS": 20}) as running:
        (bob,) = await running.clients(BOB, 1)
        calling, idle = await running.clients(ALICE, 2)
        waiting = asyncio.create_task(calling.call("bot__wait"))
        await eventually(old_asking.calls)
        await running.clients(ALICE, 60)
        assert (await bob.send("ping"))[0] == 200, "it was used longer ago than any other"
        assert (await idle.send("ping"))[0] == 404
        old_asking.gate.set()
        assert "result" in (await waiting)[1], "what is under way is not ended as long as others are idle"


async def test_a_flood_of_streams_is_refused_and_others_open_theirs(tmp_path: Path, old_asking: AskingServer) -> None:
    async with scene(tmp_path, old_asking, {"listeners.MAX_STREAMS": 20}) as running:
        first, second, third = await running.clients(ALICE, 3)
        assert [(await one.stream()).status for one in (first, second)] == [200, 200]
        for path in (PATH, f"{PATH}/sse"):
            refused = await third.stream(path)
            assert (refused.status, (await refused.json())["error"]["code"], refused.headers["Retry-After"]) == (429, -32016, "30")
        status, message = await running.client(ALICE).modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        assert (status, message["error"]["code"]) == (429, -32016)
        (bob,) = await running.clients(BOB, 1)
        assert (await bob.stream()).status == 200


async def test_a_flood_of_calls_that_wait_for_their_caller_is_refused_and_others_wait(tmp_path: Path, old_asking: AskingServer) -> None:
    async with scene(tmp_path, old_asking, {"conversation.MAX_CONVERSATIONS": 20}) as running:
        alice, bob = running.client(ALICE), running.client(BOB)
        mine = [await alice.ask() for _ in range(2)]
        assert [one["resultType"] for one in mine] == ["input_required"] * 2
        refused = await alice.ask()
        assert (refused["isError"], "wait for that already" in refused["content"][0]["text"]) == (True, True)
        await eventually(lambda: old_asking.requests[-1].method == "notifications/cancelled")
        his = await bob.ask()
        for caller, first in ((bob, his), (alice, mine[0])):
            answers = dict.fromkeys(first["inputRequests"], ANSWER)
            answered = await caller.ask(inputResponses=answers, requestState=first["requestState"])
            assert json.loads(answered["content"][0]["text"]) == {"1": ANSWER}
        assert (await alice.ask())["resultType"] == "input_required", "who has answered may be asked again"


async def test_a_flood_of_sessions_with_servers_ends_the_floods_own(tmp_path: Path, old_asking: AskingServer) -> None:
    async with scene(tmp_path, old_asking, {"upstreams.MAX_UPSTREAMS": 4}) as running:
        (bob,) = await running.clients(BOB, 1)
        await bob.call("bot__echo")
        his = old_asking.calls()[-1].header("Mcp-Session-Id")
        first, *more = await running.clients(ALICE, 10)
        waiting = asyncio.create_task(first.call("bot__wait"))
        await eventually(lambda: len(old_asking.calls()) == 2)
        for one in more:
            await one.call("bot__echo")
        await bob.call("bot__echo")
        assert old_asking.calls()[-1].header("Mcp-Session-Id") == his
        await eventually(lambda: len([one for one in old_asking.requests if one.verb == "DELETE"]) == 7)
        in_use = old_asking.calls()[1].header("Mcp-Session-Id")
        assert {tuple(one.header("Mcp-Session-Id")) for one in old_asking.requests if one.verb == "DELETE"}.isdisjoint(
            {tuple(his), tuple(in_use)}
        )
        old_asking.gate.set()
        assert "result" in (await waiting)[1]
