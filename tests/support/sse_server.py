"""A small server of the older HTTP+SSE transport, whose behaviour a test decides, and which remembers what it was asked."""

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Message = dict[str, Any]
Say = Callable[[Message | str], Awaitable[None]]
"""Writes a message, or bytes as they are, to the stream that a request belongs to."""
Behaviour = Callable[[Message, Say], Awaitable[web.Response | None]]
"""Carries out a request; a response is what its POST gets instead of 202."""


def answer(message: Message, **result: Any) -> Message:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


async def hang_up(message: Message, say: Say) -> None:
    """End the stream without an answer."""
    await say("")


def refuse(status: int) -> Behaviour:
    async def behave(message: Message, say: Say) -> web.Response:
        return web.Response(status=status)

    return behave


@dataclass
class SseServer:
    """Its stream is what a GET opens, at whatever path; POSTs need the session of the stream."""

    opening: str = "event: endpoint\ndata: {path}?session={session}\n\n"
    """What the stream begins with."""
    stream_status: int = 200
    stream_type: str = "text/event-stream"
    refusal: int = 405
    """Status of a POST without session."""
    capabilities: dict[str, Any] = field(default_factory=lambda: {"tools": {}})
    behaviour: dict[str, Behaviour] = field(default_factory=dict)
    """By method; a call is answered otherwise."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Verb, and for a message its method."""
    messages: list[Message] = field(default_factory=list)
    """Those with a session."""
    headers: list[dict[str, str]] = field(default_factory=list)
    closed: int = 0
    """Streams that clients have closed, or that were ended."""
    _streams: dict[str, asyncio.Queue[str]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def count(self) -> Counter[str]:
        return Counter(method for _, method in self.requests)

    async def say(self, message: Message | str) -> None:
        """Write to every stream; an empty text ends it."""
        for session in tuple(self._streams):
            await self._say(session, message)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if request.method == "GET":
            self.requests.append(("GET", "GET"))
            return await self._stream(request)
        message = await request.json()
        self.requests.append(("POST", str(message.get("method", "answer"))))
        session = request.query.get("session", "")
        if not session:
            return web.Response(status=self.refusal)
        if session not in self._streams:
            return web.Response(status=404)
        self.messages.append(message)

        async def say(what: Message | str) -> None:
            await self._say(session, what)

        return await self._carry_out(message, say) or web.Response(status=202, text="Accepted")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self.stream_status, headers={"Content-Type": self.stream_type})
        await response.prepare(request)
        session, outbox = f"s{next(self._numbers)}", asyncio.Queue[str]()
        self._streams[session] = outbox
        try:
            await response.write(self.opening.format(path=request.path, session=session).encode(errors="surrogateescape"))
            while text := await _next(outbox, request):
                await response.write(text.encode())
        finally:
            del self._streams[session]
            self.closed += 1
        return response

    async def _say(self, session: str, what: Message | str) -> None:
        outbox = self._streams.get(session)
        if outbox is not None:
            await outbox.put(what if isinstance(what, str) else f"event: message\ndata: {json.dumps(what)}\n\n")

    async def _carry_out(self, message: Message, say: Say) -> web.Response | None:
        method = str(message.get("method", ""))
        own = self.behaviour.get(method)
        if own is not None:
            return await own(message, say)
        if method == "initialize":
            await say(
                answer(message, protocolVersion="2024-11-05", capabilities=self.capabilities, serverInfo={"name": "s", "version": "1"})
            )
        elif "id" in message and method:
            await say(answer(message, called=message["params"]))
        return None


async def _next(outbox: asyncio.Queue[str], request: web.Request) -> str:
    """Return what to write next, nothing where the client has gone."""
    while request.transport is not None:
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(outbox.get(), 0.05)
    return ""
