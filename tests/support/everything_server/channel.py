"""A stream of events that a client may come back to."""

import asyncio
import json
from collections.abc import AsyncIterator

from aiohttp import web

from everything_server.rpc import Json

HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


def event(message: Json, id_: str = "") -> bytes:
    named = f"id: {id_}\n" if id_ else ""
    return f"{named}event: message\ndata: {json.dumps(message)}\n\n".encode()


class Channel:
    """The messages of one stream, in order, from the first on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_taken = False
        self._messages: list[Json] = []
        self._ended = False
        self._hung_up = False
        self._grew = asyncio.Event()

    async def send(self, message: Json) -> None:
        self._messages.append(message)
        self._grew.set()

    def end(self, last: Json | None = None) -> None:
        """Take the last message, if there is one."""
        if last is not None:
            self._messages.append(last)
        self._ended = True
        self._grew.set()

    def hang_up(self) -> None:
        """Let go of who listens; he may come back."""
        self._hung_up = True
        self._grew.set()

    async def only(self) -> Json | None:
        """Wait for the first message, and return it if it is the last one too: then no stream is needed."""
        while not (self._messages or self._ended or self._hung_up):
            await self._wait()
        return self._messages[0] if self._ended and len(self._messages) == 1 and not self._hung_up else None

    async def write(self, response: web.StreamResponse, after: int) -> None:
        """Write what comes after an event until the end, or until it hangs up."""
        async for one in self._events(after):
            await response.write(one)

    async def _events(self, after: int) -> AsyncIterator[bytes]:
        while True:
            if self._hung_up:
                self._hung_up = False
                return
            while after < len(self._messages):
                after += 1
                yield event(self._messages[after - 1], f"{self.name}-{after}")
            if self._ended:
                return
            await self._wait()

    async def _wait(self) -> None:
        self._grew.clear()
        await self._grew.wait()
