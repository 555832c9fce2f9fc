"""tools/call through the pipeline to servers of the older HTTP+SSE transport."""

import asyncio
from typing import Literal

import pytest

from eventually import eventually
from gateway_served import Serve, Served
from gateway_world import ALICE, BOB, SECRET, Manifest, gateway, installation, pinned, snapshot_of
from own_address import ADDRESS, rules
from recording_server import serving
from sse_server import Message, Say, SseServer, answer
from wharfinger_crds.egress_rules import EgressRules

RESULT = {"content": [{"type": "text", "text": "done"}]}
SHUT = rules(mode="DenyAll")


async def done(message: Message, say: Say) -> None:
    await say(answer(message, **RESULT))


def bot(url: str, transport: Literal["Auto", "SSE"] = "SSE", egress: EgressRules | None = None) -> list[Manifest]:
    return installation("bot", team="engineering", url=url, transport=transport, egress=egress or rules())


def publish(served: Served, *parts: list[Manifest]) -> None:
    """Let other connections count, as the watch does."""
    served.put_in_force(snapshot_of(*parts, gateway("tools", pinned("bot"))))


@pytest.mark.parametrize("transport", ["Auto", "SSE"])
@pytest.mark.parametrize("modern", [False, True], ids=["legacy-client", "modern-client"])
async def test_a_call_reaches_the_server_once_with_the_connections_credential(
    serve: Serve, transport: Literal["Auto", "SSE"], modern: bool
) -> None:
    server = SseServer(behaviour={"tools/call": done})
    async with serving(host=ADDRESS) as start:
        served = serve(bot(f"http://{(await start(server)).host}/mcp", transport), gateway("tools", pinned("bot")))
        answered = await served.caller(ALICE).call("bot__echo", modern=modern, word="one")

    assert answered.text == "done"
    assert server.requests[0] == (("GET", "GET") if transport == "SSE" else ("POST", "server/discover"))
    assert [one["params"] for one in server.messages if one.get("method") == "tools/call"] == [
        {"name": "echo", "arguments": {"word": "one"}}
    ]
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {SECRET}"}


async def test_two_callers_share_no_stream(serve: Serve) -> None:
    server = SseServer(behaviour={"tools/call": done})
    async with serving(host=ADDRESS) as start:
        served = serve(bot(f"http://{(await start(server)).host}/mcp"), gateway("tools", pinned("bot")))
        for token in (ALICE, BOB, ALICE):
            assert (await served.caller(token).call("bot__echo")).text == "done"

    assert server.count()["GET"] == 2


async def test_a_stream_ends_with_its_connection_but_not_before_the_call_under_way(serve: Serve) -> None:
    go_on = asyncio.Event()

    async def slow(message: Message, say: Say) -> None:
        await go_on.wait()
        await done(message, say)

    server = SseServer(behaviour={"tools/call": slow})
    async with serving(host=ADDRESS) as start:
        url = f"http://{(await start(server)).host}/mcp"
        served = serve(bot(url), gateway("tools", pinned("bot")))
        waiting = asyncio.create_task(served.caller(ALICE).call("bot__echo"))
        await eventually(lambda: server.count()["tools/call"])

        publish(served, bot(f"{url}?other"))
        assert not server.closed
        go_on.set()

        assert (await waiting).text == "done"
        await eventually(lambda: server.closed == 1)


@pytest.mark.requirement("ENV-8")
async def test_a_server_that_the_environment_shuts_gets_no_request_and_loses_its_stream(serve: Serve) -> None:
    server = SseServer(behaviour={"tools/call": done})
    async with serving(host=ADDRESS) as start:
        url = f"http://{(await start(server)).host}/mcp"
        served = serve(bot(url), gateway("tools", pinned("bot")))
        assert (await served.caller(ALICE).call("bot__echo")).text == "done"
        asked = len(server.requests)

        publish(served, bot(url, egress=SHUT))

        await eventually(lambda: server.closed == 1)
        assert (await served.caller(ALICE).call("bot__echo")).text.startswith("Egress rules do not let the tool's server be reached")
    assert len(server.requests) == asked
