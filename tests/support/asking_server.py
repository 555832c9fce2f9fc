"""An MCP server of either era whose tool `ask` wants to know something of its caller before it answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway_upstream import EraName, Json, UpstreamServer, running_server

FORM = {"message": "Who are you?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}, "x": [1.50]}
QUESTION = ("elicitation/create", FORM)


@dataclass
class AskingServer(UpstreamServer):
    """The answers that it got become its result's text, as JSON: by number for a legacy server, by key for a modern one."""

    questions: list[tuple[str, Json]] = field(default_factory=lambda: [QUESTION])
    rounds: int = 1
    """How often a modern server asks."""
    on_get: bool = False
    """A legacy server asks on the stream of a GET, as some SDKs do."""
    at_once: bool = False
    """A legacy server asks all of its questions before it waits for an answer."""
    withdraws: bool = False
    """A legacy server wants to know no more once `gate` is set, and answers without."""
    error: Json | None = None
    """What `ask` answers instead, once."""
    has_get: bool = True
    streams: list[web.StreamResponse] = field(default_factory=list)
    _opened: list[str] = field(default_factory=list)
    _answers: dict[Any, asyncio.Future[Json]] = field(default_factory=dict)

    @property
    def asked(self) -> list[Any]:
        """The ids of a legacy server's questions."""
        return list(self._answers)

    @property
    def answers_got(self) -> int:
        """How many responses of clients came in."""
        return len([one for one in self.requests if "id" in one.message and "method" not in one.message])

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        body = await request.text()
        message = json.loads(body) if body else {}
        if request.method == "GET" and self.era == "legacy" and self.has_get:
            return await self._open(request)
        if "method" not in message and message.get("id") in self._answers:
            self._answers[message["id"]].set_result(message)
        if message.get("method") == "tools/call" and message["params"]["name"] == "ask":
            await super().handle(request)
            if self.error is not None:
                error, self.error = self.error, None
                return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error})
            return await (self._ask_modern(message) if self.era == "modern" else self._ask_legacy(request, message))
        return await super().handle(request)

    def _stream_of(self, request: web.Request) -> int:
        """Return which stream is of the request's session."""
        return self._opened.index(request.headers["Mcp-Session-Id"])

    async def _open(self, request: web.Request) -> web.StreamResponse:
        stream = await _prepared(request)
        self.streams.append(stream)
        self._opened.append(request.headers["Mcp-Session-Id"])
        await self.gate.wait()
        return stream

    async def _ask_legacy(self, request: web.Request, message: Json) -> web.StreamResponse:
        stream = await _prepared(request)
        asked_on = self.streams[self._stream_of(request)] if self.on_get else stream
        awaited: dict[str, asyncio.Future[Json]] = {}
        for number, (method, params) in enumerate(self.questions, 1):
            name = f"{request.headers['Mcp-Session-Id']}-{message['id']}-{number}"
            question = {"jsonrpc": "2.0", "id": name, "method": method, "params": params}
            self._answers[name] = asyncio.get_running_loop().create_future()
            said = _event(question)
            if self.withdraws and self.gate.is_set():
                # In one piece, so that both arrive at the same moment.
                said += _event(_withdrawal(name))
            await asked_on.write(said)
            if self.withdraws:
                if not self.gate.is_set():
                    await self.gate.wait()
                    await asked_on.write(_event(_withdrawal(name)))
                continue
            if not self.at_once:
                await self._answers[name]
            awaited[str(number)] = self._answers[name]
        answers = {number: (await answer).get("result", answer.result().get("error")) for number, answer in awaited.items()}
        await stream.write(_event(_answered(message, answers)))
        return stream

    async def _ask_modern(self, message: Json) -> web.Response:
        params = message["params"]
        number = int(params.get("requestState", "state-0").removeprefix("state-"))
        if number < self.rounds:
            wanted = {f"q{i}": {"method": method, "params": asked} for i, (method, asked) in enumerate(self.questions)}
            asking = {"resultType": "input_required", "inputRequests": wanted, "requestState": f"state-{number + 1}"}
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": asking})
        return web.json_response(_answered(message, params["inputResponses"]))


def _withdrawal(id_: str) -> Json:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id_}}


def _event(message: Json) -> bytes:
    return b"data: " + json.dumps(message).encode() + b"\n\n"


def _answered(message: Json, answers: Json) -> Json:
    result = {"content": [{"type": "text", "text": json.dumps(answers)}], "resultType": "complete"}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


async def _prepared(request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)
    await stream.write(b":\n\n")
    return stream


@contextlib.asynccontextmanager
async def asking_server(era: EraName) -> AsyncIterator[AskingServer]:
    """Run one on a free port."""
    server = AskingServer(era)
    async with running_server(server):
        yield server
