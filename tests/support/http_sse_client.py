"""An MCP client of 2024-11-05, straight into the pipeline: what it is told is in its caller's channel."""

import asyncio
import json
from typing import Any

from eventually import eventually
from gateway_caller import Answered, Caller, Json

PATH = "/v1/mcp/dev.tools/sse"


class Sse:
    """A client, once its stream is open."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.stream: asyncio.Task[Answered]

    async def open(self) -> None:
        """Open the stream."""
        self.stream = asyncio.create_task(self.caller.send(verb="GET", path=PATH))
        await eventually(lambda: self.caller.channel.events)

    @property
    def endpoint(self) -> str:
        """Return where messages are posted."""
        ((kind, endpoint),) = self.caller.channel.events
        assert kind == "endpoint"
        return endpoint

    async def post(self, message: Any, caller: Caller | None = None) -> int:
        """Post a message, also as somebody else; return the status."""
        return (await (caller or self.caller).send(json.dumps(message).encode(), path=self.endpoint)).status

    async def ask(self, method: str, params: Json | None = None, id_: object = 1) -> Json:
        """Send a request and return its answer."""
        assert await self.post({"jsonrpc": "2.0", "id": id_, "method": method, "params": params or {}}) == 202
        await eventually(lambda: self.answers(id_))
        return self.answers(id_)[-1]

    def answers(self, id_: object) -> list[Json]:
        """Return what came under an id."""
        return [one for one in self.caller.channel.said if one.get("id") == id_ and "method" not in one]

    async def initialize(self, version: str = "2024-11-05", capabilities: Json | None = None) -> Json:
        """Agree on a revision."""
        params = {"protocolVersion": version, "capabilities": capabilities or {}, "clientInfo": {"name": "t", "version": "1"}}
        return await self.ask("initialize", params, id_="init")
