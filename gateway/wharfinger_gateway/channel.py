"""The way to one client over HTTP: JSON where the reply is all there is to say, an event stream where something comes before it.

Invariants: what is said arrives in order, each message once. A client that does not read holds up its own request, for `WRITE_SECONDS`;
then its connection is closed. To a client that takes no event stream only the reply is said. Source: MCP 2025-11-25 and 2026-07-28, streamable HTTP, "Sending Messages to the Server".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from wharfinger_gateway.incoming import Reply
from wharfinger_mcp import media_type
from wharfinger_mcp.sse import event_bytes

PATIENCE_SECONDS: Final = 10.0
"""After so long without a reply the stream is begun: intermediaries let go of connections on which nothing comes."""
BEAT_SECONDS: Final = 15.0
WRITE_SECONDS: Final = 30.0

# Instead of aiohttp's own, which tells versions.
SERVER: Final = {"Server": "wharfinger"}
_STREAM_HEADERS: Final = {
    **SERVER,
    "Content-Type": media_type.EVENT_STREAM,
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
_COMMENT: Final = b":\n\n"

Leaving = dict[object, dict[object, Callable[[], None]]]
"""By connection, what its client's leaving means."""


class HttpChannel:
    """The channel of one request. Belongs to one event loop; `close` it whatever happens."""

    __slots__ = ("_beat", "_beating", "_leaving", "_lock", "_request", "_stream")

    def __init__(self, request: web.BaseRequest, leaving: Leaving) -> None:
        self._request = request
        self._leaving = leaving
        self._lock = asyncio.Lock()
        self._stream: web.StreamResponse | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._beating: asyncio.Task[bool] | None = None

    async def open(self) -> None:
        """See Channel."""
        await self.write(_COMMENT)
        if self._beat is None:
            self._keep_beating()

    async def say(self, message: bytes) -> bool:
        """See Channel."""
        return await self.write(event_bytes(message))

    async def event(self, kind: str, data: bytes) -> bool:
        """See Channel."""
        return await self.write(b"event: " + kind.encode() + b"\n" + event_bytes(data))

    def linger(self) -> None:
        """See Channel."""
        if self._beat is None:
            self._beat = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._on_beat)

    def on_leave(self, leave: Callable[[], None]) -> Callable[[], None]:
        """See Channel."""
        if self._request.transport is None:
            leave()
            return lambda: None
        key = object()
        self._leaving.setdefault(self._request.protocol, {})[key] = leave

        def stay() -> None:
            self._leaving.get(self._request.protocol, {}).pop(key, None)

        return stay

    async def end(self, reply: Reply) -> web.StreamResponse:
        """Return the response that ends the request."""
        self.close()
        if self._beating is not None:
            await self._beating
        if self._stream is None:
            return web.Response(status=reply.status, body=reply.body, headers={**reply.headers, **SERVER})
        if reply.body:
            await self.say(reply.body)
        return self._stream

    def close(self) -> None:
        """Let nothing more happen by itself."""
        self._leaving.pop(self._request.protocol, None)
        if self._beat is not None:
            self._beat.cancel()

    def _keep_beating(self) -> None:
        self._beat = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._on_beat)

    def _on_beat(self) -> None:
        self._beating = asyncio.create_task(self.write(_COMMENT))
        self._keep_beating()

    async def write(self, events: bytes) -> bool:
        """See Channel."""
        if self._stream is None and not media_type.accepts(self._request.headers, media_type.EVENT_STREAM):
            return False
        try:
            async with asyncio.timeout(WRITE_SECONDS), self._lock:
                if self._stream is None:
                    stream = web.StreamResponse(headers=_STREAM_HEADERS)
                    await stream.prepare(self._request)
                    self._stream = stream
                await self._stream.write(events)
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
        except ConnectionError:
            return False
        else:
            return True
        return False
