"""The server's side of an HTTP/1.1 connection: one request and its answer at a time, then the next (RFC 9112 §9).

Invariants:

- Where a request ends is certain, or nothing after it is read: the connection ends with its answer.
- What is held of what a client sends is bounded: a head, what of a body nobody has asked for, and a little beyond the request under way.
- An answer that must end the connection is followed by silence until the client has had time to read it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final, Protocol, cast

from wharfinger_gateway.connection_bounds import Connections, Reading
from wharfinger_gateway.http_answer import CLOSE, TEXT, whole_head
from wharfinger_gateway.http_exchange import Exchange
from wharfinger_gateway.http_head import END, MAX_HEAD_BYTES, Heads
from wharfinger_gateway.request_body import RequestBody
from wharfinger_mcp.loop_time import loop_time

MAX_AHEAD_BYTES: Final = 64 * 1024
"""Of requests that a client sends before it has had an answer."""
LINGER_SECONDS: Final = 5.0
_NO_HTTP: Final = b"This is no HTTP/1.1 request that is understood here.\n"
_log = logging.getLogger(__name__)


class Server(Protocol):
    """What a connection belongs to."""

    connections: Connections
    is_ending: bool
    """No connection outlives its answer any more."""

    def handle(self, exchange: Exchange, /) -> Awaitable[None]:
        """Answer a request."""


class ServerConnection(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.idle_since = 0.0
        self.is_fresh = True
        self._exchange: Exchange | None = None
        self._body: RequestBody | None = None
        self._heads = Heads()
        self._ahead = b""
        self._is_paused = False
        self._is_lingering = False
        self._reading: Reading | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drainer: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, and its client has read all answers."""
        return self._exchange is None and self._reading is None

    @property
    def is_ending(self) -> bool:
        """Whether it ends with its answer."""
        return self._server.is_ending

    # What is done with it.

    def abort(self) -> None:
        """Close at once, without the answer's rest."""
        if self.transport is not None:
            self.transport.abort()

    def close(self) -> None:
        """Close when what was written has been read."""
        if self.transport is not None:
            self.transport.close()

    def look(self, now: float) -> None:
        """Let happen what is due."""
        self._heads.forget()
        exchange = self._exchange
        if exchange is not None and 0.0 < exchange.beat_at <= now:
            exchange.on_beat()

    def resume(self) -> None:
        """Read on."""
        if self._is_paused and self.transport is not None:
            self._is_paused = False
            self.transport.resume_reading()

    async def drained(self) -> None:
        """Wait until the client has read enough. Raises ConnectionError where it is gone."""
        while self._reading is not None:
            self._drainer = self._drainer or self._loop.create_future()
            await asyncio.shield(self._drainer)
        if self.transport is None:
            raise ConnectionResetError("the client has left")

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        self.transport = cast(asyncio.Transport, transport)
        self.idle_since = loop_time()
        self.task = self._loop.create_task(self._serve())
        self._server.connections.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        self.transport = None
        self._server.connections.closed(self)
        self.resume_writing()
        if self._body is not None:
            self._body.end()
        if self._exchange is not None:
            self._exchange.left()
        self._wake()

    def pause_writing(self) -> None:
        """Watch a client that does not read as fast as it is written to."""
        if self._reading is None and self.transport is not None:
            self._reading = Reading(self, self._server.connections, self.transport)

    def resume_writing(self) -> None:
        """Stop watching, and write on."""
        if self._reading is not None:
            self._reading.stop()
            self._reading = None
        if self._drainer is not None:
            drainer, self._drainer = self._drainer, None
            drainer.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take what came: of a body, or of the next request."""
        if self._is_lingering:
            return
        if self._body is not None:
            data = self._body.feed(data)
            if self._body.is_over:
                self._body = None
            elif self._body.is_ahead and self._exchange is not None:
                self._pause()
        self._ahead = self._ahead + data if self._ahead else data
        if self._exchange is None:
            self._begin()
        elif len(self._ahead) > MAX_AHEAD_BYTES:
            self._pause()

    def _pause(self) -> None:
        if not self._is_paused and self.transport is not None:
            self._is_paused = True
            self.transport.pause_reading()

    def _begin(self) -> None:
        """Begin with the request that is there, if it is."""
        ahead = self._ahead
        if ahead[:1] in (b"\r", b"\n"):
            ahead = self._ahead = ahead.lstrip(b"\r\n")  # RFC 9112 §2.2
        end = ahead.find(END)
        if end < 0 and len(ahead) <= MAX_HEAD_BYTES:
            return
        found = self._heads.read(ahead[: end + len(END)]) if 0 <= end <= MAX_HEAD_BYTES else None
        if found is None:
            self._refuse(400 if 0 <= end <= MAX_HEAD_BYTES else 431)
            return
        head, length = found
        rest = ahead[end + len(END) :]
        body: bytes | RequestBody
        if head.is_chunked or len(rest) < length:
            body = self._body = RequestBody(None if head.is_chunked else length)
            rest = body.feed(rest)
            if body.is_over:
                self._body = None
        else:
            body, rest = rest[:length], rest[length:]
        self._ahead = rest
        self.is_fresh = False
        self._exchange = Exchange(self, head, body)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _refuse(self, status: int) -> None:
        """Answer what is no request, and end the connection: nobody knows where the next one would begin."""
        if self.transport is not None:
            self.is_fresh = False
            self.transport.write(whole_head(status, TEXT, len(_NO_HTTP), CLOSE) + _NO_HTTP)
            self._linger()

    def _linger(self) -> None:
        """Close when the client has had time to read: closing with something unread on the way would take the answer away (RFC 9112 §9.6)."""
        self._is_lingering = True
        self._body, self._ahead = None, b""
        self.resume()
        self._loop.call_later(LINGER_SECONDS, self.close)
        self._wake()

    async def _serve(self) -> None:
        """Answer one request after the other."""
        try:
            while (exchange := await self._asked()) is not None:
                await self._server.handle(exchange)
                if not self._is_kept(exchange):
                    return
                if self._reading is not None:
                    await self.drained()
        except ConnectionError:
            return
        except Exception:  # noqa: BLE001 - the last edge: a fault of ours is logged, and costs this connection only
            _log.exception("a connection failed inside the gateway")
            self.abort()

    async def _asked(self) -> Exchange | None:
        """Wait for a request; None where none comes any more."""
        while self._exchange is None:
            if self.transport is None or self._is_lingering:
                return None
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._exchange

    def _is_kept(self, exchange: Exchange) -> bool:
        """End with a request that was answered; tell whether another may come."""
        self._exchange = None
        transport = self.transport
        if transport is None:
            return False
        if not exchange.has_ended:
            self.abort()
            return False
        if exchange.closes or self._server.is_ending:
            if self._body is not None or self._ahead:
                self._linger()
            else:
                transport.close()
            return False
        self.idle_since = loop_time()
        if self._is_paused:
            self.resume()
        if self._ahead:
            self._begin()
        return True
