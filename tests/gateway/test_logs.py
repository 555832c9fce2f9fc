"""Log messages of older servers: how they are asked for, and where they come."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asking_scene import DECLARED, legacy_caller, world
from asking_server import AskingServer
from eventually import eventually
from gateway_caller import Caller, Json
from gateway_served import Serve, Served
from gateway_world import ALICE, BOB

pytestmark = pytest.mark.requirement("GW-5")

LEVEL = "io.modelcontextprotocol/logLevel"
LOG: Json = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": "said"}}


async def speaking(served: Served, level: str | None) -> Caller:
    """Return a legacy client that cannot be asked anything, and has said how much it wants to hear."""
    caller = await legacy_caller(served, capabilities={})
    if level is not None:
        await caller.request("logging/setLevel", {"level": level})
    return caller


@asynccontextmanager
async def waiting(server: AskingServer, caller: Caller) -> AsyncIterator[None]:
    """Have a call under way."""
    before = len(server.calls())
    call = asyncio.create_task(caller.request("tools/call", {"name": "bot__wait", "arguments": {}}))
    await eventually(lambda: len(server.calls()) > before)
    yield
    server.gate.set()
    await asyncio.wait_for(call, 5)


async def say(server: AskingServer, **other: object) -> None:
    """Log something in the first session, on the stream that a GET opened."""
    log = LOG | {"params": LOG["params"] | other}
    await server.streams[0].write(b"data: " + json.dumps(log).encode() + b"\n\n")


def levels(server: AskingServer) -> list[Any]:
    return [one.message["params"]["level"] for one in server.requests if one.method == "logging/setLevel"]


async def test_an_older_server_is_asked_for_the_most_that_anybody_wants_to_hear_once_a_session(
    serve: Serve, old_asking: AskingServer
) -> None:
    old_asking.logs = True
    served = serve(world(old_asking))
    silent, few, many = [await speaking(served, level) for level in (None, "error", "debug")]

    for caller, asked in ((silent, []), (few, ["info"]), (few, ["info"]), (many, ["info", "debug"]), (few, ["info", "debug"])):
        await caller.call("bot__echo")
        assert levels(old_asking) == asked

    old_asking.forget_sessions()
    await few.call("bot__echo")
    await few.call("bot__echo")
    assert levels(old_asking) == ["info", "debug", "info"]


async def test_an_older_server_is_asked_for_no_more_than_a_client_wants_that_has_a_session_of_its_own(
    serve: Serve, old_asking: AskingServer
) -> None:
    old_asking.logs = True
    caller = await legacy_caller(serve(world(old_asking)))
    for level in ("error", "warning", "error"):
        await caller.request("logging/setLevel", {"level": level})
        await caller.call("bot__echo")

    assert levels(old_asking) == ["error", "warning"]


async def test_an_older_server_is_asked_for_what_a_modern_clients_request_names(serve: Serve, old_asking: AskingServer) -> None:
    old_asking.logs = True
    caller = serve(world(old_asking)).caller(ALICE)
    for _ in range(2):
        await caller.modern("tools/call", {"name": "bot__echo", "arguments": {}}, meta={DECLARED: {}, LEVEL: "debug"})

    assert levels(old_asking) == ["debug"]


async def test_a_server_that_does_not_log_is_not_asked(serve: Serve, old_asking: AskingServer) -> None:
    await (await speaking(serve(world(old_asking)), "debug")).call("bot__echo")

    assert levels(old_asking) == []
    assert old_asking.streams == []


@pytest.mark.parametrize("level", [None, "info"])
async def test_what_an_older_server_logs_beside_a_call_is_told_to_who_hears_logs(
    serve: Serve, old_asking: AskingServer, level: str | None
) -> None:
    old_asking.logs = True
    caller = await speaking(serve(world(old_asking)), level)
    async with waiting(old_asking, caller):
        await say(old_asking)
        await eventually(lambda: caller.channel.said == [LOG])


async def test_what_an_older_server_logs_beside_calls_is_told_to_nobody_but_the_only_one_it_can_be_for(
    serve: Serve, old_asking: AskingServer
) -> None:
    old_asking.logs = True
    served = serve(world(old_asking))
    callers = [await speaking(served, None) for _ in range(2)]
    stranger = await legacy_caller(served, BOB, {})
    async with waiting(old_asking, callers[0]), waiting(old_asking, stranger):
        await say(old_asking)
        await eventually(lambda: callers[0].channel.said)
        async with waiting(old_asking, callers[1]):
            await say(old_asking, **{"data": "whose?"})
            await old_asking.streams[0].write(b'data: {"jsonrpc": "2.0", "id": "last", "method": "acme/last"}\n\n')
            await eventually(lambda: old_asking.answers_got)

    assert [one.channel.said for one in (*callers, stranger)] == [[LOG], [], []]
