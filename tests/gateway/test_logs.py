"""Log messages of older servers: how they are asked for, and where they come."""

import asyncio
import json
from typing import Any

import pytest

from asking_scene import DECLARED, legacy_caller, world
from asking_server import AskingServer
from eventually import eventually
from gateway_caller import Caller, Json
from gateway_served import Serve, Served
from gateway_world import ALICE

pytestmark = pytest.mark.requirement("GW-5")

LEVEL = "io.modelcontextprotocol/logLevel"
LOG: Json = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": "said"}}


async def speaking(served: Served, level: str | None) -> Caller:
    """Return a legacy client that cannot be asked anything, and has said how much it wants to hear."""
    caller = await legacy_caller(served, capabilities={})
    if level is not None:
        await caller.request("logging/setLevel", {"level": level})
    return caller


def levels(server: AskingServer) -> list[Any]:
    return [one.message["params"]["level"] for one in server.requests if one.method == "logging/setLevel"]


async def test_an_older_server_is_asked_for_the_most_that_anybody_wants_to_hear_once_a_session(
    serve: Serve, old_asking: AskingServer
) -> None:
    old_asking.logs = True
    served = serve(world(old_asking))
    silent, few, many = [await speaking(served, level) for level in (None, "error", "debug")]

    for caller, asked in ((silent, []), (few, ["error"]), (few, ["error"]), (many, ["error", "debug"]), (few, ["error", "debug"])):
        await caller.call("bot__echo")
        assert levels(old_asking) == asked

    old_asking.forget_sessions()
    await few.call("bot__echo")
    await few.call("bot__echo")
    assert levels(old_asking) == ["error", "debug", "error"]


async def test_an_older_server_is_asked_for_what_a_modern_clients_request_names(serve: Serve, old_asking: AskingServer) -> None:
    old_asking.logs = True
    caller = serve(world(old_asking)).caller(ALICE)
    for _ in range(2):
        await caller.modern("tools/call", {"name": "bot__echo", "arguments": {}}, meta={DECLARED: {}, LEVEL: "warning"})

    assert levels(old_asking) == ["warning"]


async def test_a_server_that_does_not_log_is_not_asked(serve: Serve, old_asking: AskingServer) -> None:
    await (await speaking(serve(world(old_asking)), "debug")).call("bot__echo")

    assert levels(old_asking) == []


async def test_what_an_older_server_logs_beside_a_call_is_told_to_who_wants_to_hear(serve: Serve, old_asking: AskingServer) -> None:
    old_asking.logs = True
    caller = await speaking(serve(world(old_asking)), "info")
    waiting = asyncio.create_task(caller.request("tools/call", {"name": "bot__wait", "arguments": {}}))
    await eventually(old_asking.calls)
    (stream,) = old_asking.streams
    await stream.write(b"data: " + json.dumps(LOG).encode() + b"\n\n")

    await eventually(lambda: caller.channel.said == [LOG])
    old_asking.gate.set()
    await waiting
