"""Callers of both eras before servers that ask them something."""

import json
from typing import Any

from asking_server import AskingServer
from eventually import eventually
from gateway_caller import Answered, Caller, Json
from gateway_served import Served
from gateway_world import ALICE, Manifest, gateway, installation, pinned, tool

ABLE: Json = {"elicitation": {"form": {}}, "sampling": {}, "roots": {"listChanged": True}}
DECLARED = "io.modelcontextprotocol/clientCapabilities"
ANSWER = {"action": "accept", "content": {"name": "Ann", "deep": [1.50, None]}}
OPENS: Json = {"elicitation": {"form": {}, "url": {}}}
LINK = {"mode": "url", "url": "https://example.com/connect", "message": "log in"}


def world(server: AskingServer, **spec: Any) -> list[Manifest]:
    """Return a gateway in front of the server."""
    tools = [tool("ask"), tool("echo"), tool("wait")]
    return [*installation("bot", team="engineering", url=server.url, tools=tools), gateway("tools", pinned("bot"), **spec)]


async def legacy_caller(served: Served, token: str = ALICE, capabilities: Json = ABLE) -> Caller:
    """Return a client with a session in which it declares these capabilities."""
    caller = served.caller(token)
    await caller.initialize(capabilities=capabilities)
    return caller


async def asked(caller: Caller, number: int = 1) -> Json:
    """Return the newest of so many questions."""
    await eventually(lambda: len([one for one in caller.channel.said if "id" in one]) == number)
    return [one for one in caller.channel.said if "id" in one][-1]


async def answer(caller: Caller, question: Json, result: Any = ANSWER, **response: Any) -> Answered:
    """Answer a question."""
    body = {"jsonrpc": "2.0", "id": question["id"]} | (response or {"result": result})
    return await caller.send(json.dumps(body).encode())


async def modern_call(caller: Caller, capabilities: Json = ABLE, name: str = "bot__ask", id_: object = 1, **more: Any) -> Answered:
    """Call the tool that asks, as a modern client with these capabilities."""
    return await caller.modern("tools/call", {"name": name, "arguments": {"b": 1, "a": [2]}} | more, id_=id_, meta={DECLARED: capabilities})
