"""The way to one client over HTTP: JSON where the reply is all there is to say, an event stream where something comes before it.

Invariants: what is said arrives in order, each message once. A client that does not read holds up its own request only, as long as its
connection bears it (see connection_bounds). To a client that takes no event stream only the reply is said. Source: MCP 2025-11-25 and
2026-07-28, streamable HTTP, "Sending Messages to the Server".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from wharfinger_gateway.http_exchange import Exchange
from wharfinger_gateway.incoming import Reply
from wharfinger_mcp import media_type
from wharfinger_mcp.loop_time import loop_time
from wharfinger_mcp.sse import event_bytes

PATIENCE_SECONDS: Final = 10.0
"""After so long without a reply the stream is begun: intermediaries let go of connections on which nothing comes."""
BEAT_SECONDS: Final = 15.0

_STREAM: Final = {
    "Content-Type": media_type.EVENT_STREAM,
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
_COMMENT: Final = b":\n\n"


class HttpChannel:
    """The channel of one request. Belongs to one event loop; `close` it whatever happens."""

    __slots__ = ("_beating", "_exchange")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._beating: asyncio.Task[bool] | None = None

    async def open(self) -> None:
        """See Channel."""
        await self.write(_COMMENT)
        if not self._exchange.beat_at:
            self._beat_in(BEAT_SECONDS)

    async def say(self, message: bytes) -> bool:
        """See Channel."""
        return await self.write(event_bytes(message))

    async def event(self, kind: str, data: bytes) -> bool:
        """See Channel."""
        return await self.write(b"event: " + kind.encode() + b"\n" + event_bytes(data))

    def linger(self) -> None:
        """See Channel."""
        if not self._exchange.beat_at:
            self._beat_in(PATIENCE_SECONDS)

    def on_leave(self, leave: Callable[[], None]) -> Callable[[], None]:
        """See Channel."""
        exchange = self._exchange
        if exchange.is_left:
            leave()
            return lambda: None
        key = object()
        if exchange.leaving is None:
            exchange.leaving = {}
        exchange.leaving[key] = leave

        def stay() -> None:
            if exchange.leaving is not None:
                exchange.leaving.pop(key, None)

        return stay

    async def end(self, reply: Reply) -> None:
        """Answer with the reply. Raises ConnectionError where the client is gone."""
        exchange = self._exchange
        self.close()
        if self._beating is not None:
            await self._beating
        if not exchange.has_begun:
            exchange.answer(reply.status, reply.headers, reply.body)
            return
        if reply.body:
            await self.say(reply.body)
        exchange.end()

    def close(self) -> None:
        """Let nothing more happen by itself."""
        self._exchange.leaving = None
        self._exchange.beat_at = 0.0

    async def write(self, events: bytes) -> bool:
        """See Channel."""
        exchange = self._exchange
        try:
            if not exchange.has_begun:
                if not media_type.accepts(exchange.head.fields, media_type.EVENT_STREAM):
                    return False
                exchange.begin(_STREAM)
            await exchange.write(events)
        except ConnectionError:
            return False
        return True

    def _beat_in(self, seconds: float) -> None:
        self._exchange.beat_at = loop_time() + seconds
        self._exchange.on_beat = self._on_beat

    def _on_beat(self) -> None:
        self._beating = asyncio.create_task(self.write(_COMMENT))
        self._beat_in(BEAT_SECONDS)
