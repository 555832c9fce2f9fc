"""One HTTP/1.1 connection to a server: one request and its answer at a time, then the next.

Invariants:

- A request is written once, in full, and never again: whoever loses the answer learns that it may have been served.
- Whatever arrives while nothing is asked ends the connection, so that no answer is ever taken for another's.
- What is held in memory is bounded: the head, the body, and what the reader has not taken yet.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import re
import select
from collections.abc import Callable
from typing import Final, NamedTuple, cast

import httptools

from wharfinger_mcp.endpoint import Address
from wharfinger_mcp.errors import InterruptedCallError, NotMcpError, TimedOutError, TooLargeError, UnreachableError, UpstreamError
from wharfinger_mcp.header import read_field
from wharfinger_mcp.written import write

MAX_HEAD_BYTES: Final = 64 * 1024
PAUSE_BYTES: Final = 256 * 1024
"""Unread bytes after which the server is made to wait."""
FINISH_SECONDS: Final = 1.0
"""How long the rest of an answer nobody waits for may take before the connection is given up."""

_KEEP_ALIVE = re.compile(r"timeout=([0-9]{1,6})")


class Head(NamedTuple):
    """The beginning of an answer."""

    status: int
    headers: dict[str, str]
    """Names in lower case; repeated fields joined by a comma (RFC 9110 section 5.3)."""


class Connection(asyncio.Protocol):
    """The client's side of a connection; made by the pool."""

    def __init__(self, on_free: Callable[[Connection], None], on_lost: Callable[[Connection], None]) -> None:
        self.idle_until = 0.0
        self.is_last = False
        """Not to be used again."""
        self._loop = asyncio.get_running_loop()
        self.lost = self._loop.create_future()
        self._on_free = on_free
        self._on_lost = on_lost
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self.deadline = math.inf
        """When what is asked for must be there, in loop time; the pool looks."""
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._reset(0)
        self._complete = True

    def _reset(self, limit: int) -> None:
        self._limit = limit
        self._head: Head | None = None
        self._fields: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._unread = 0
        self._body_bytes = 0
        self._wire_bytes = 0
        self._complete = False
        self._keep_alive = False
        self._discarding = False
        self._paused = False
        self._error: UpstreamError | None = None

    # The pool's side.

    def is_quiet(self) -> bool:
        """Whether the server has neither closed the connection nor said anything since its last answer.

        Asks the kernel, because the event loop may not have looked at the socket yet.
        """
        transport = self._transport
        return transport is not None and not transport.is_closing() and not self._poll.poll(0)

    def start(self, head: bytes, body: bytes, *, deadline: float, limit: int) -> None:
        """Send a request whose answer must be whole at `deadline` (loop time), its body at most `limit` bytes.

        Raises UnreachableError where the connection is gone; then nothing was sent.
        """
        if self._transport is None or self._transport.is_closing():
            raise UnreachableError("the server closed the connection at once")
        self._reset(limit)
        self.deadline = deadline
        write(self._transport, head, body)

    def promised_seconds(self) -> int | None:
        """Return how long the server said it keeps the connection open; None where it said nothing."""
        promise = _KEEP_ALIVE.search(self._fields["keep-alive"]) if "keep-alive" in self._fields else None
        return None if promise is None else int(promise[1])

    def address(self) -> Address | None:
        """Return the address at the other end; None where the connection is gone."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return ipaddress.ip_address(peer[0]) if peer else None

    def abort(self) -> None:
        """Close the connection at once, whatever is under way."""
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    def expire(self) -> None:
        """End what is under way: its time is over."""
        self._fail(TimedOutError("the server did not answer in time"))

    # The reader's side.

    async def head(self) -> Head:
        """Return status and header fields of the final answer.

        Raises TimedOutError, InterruptedCallError, NotMcpError, ProtocolError.
        """
        while self._head is None:
            await self._wait()
        return self._head

    async def piece(self) -> bytes:
        """Return what came of the body since the last call, empty at its end; raises as `head` does."""
        while not self._pieces:
            if self._complete:
                return b""
            await self._wait()
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._unread = 0
        self._resume()
        return piece

    def release(self, *, finishing: bool = False) -> None:
        """End the reader's interest. Unless the answer is whole the connection is closed, which cancels a modern request.

        `finishing` allows the server a moment to end an answer of which everything needed has been read.
        """
        if self._complete:
            self._free()
        elif finishing and self._error is None and self._transport is not None:
            self._discarding = True
            self._pieces.clear()
            self._unread = 0
            self._stop_timer()
            self._timer = self._loop.call_later(FINISH_SECONDS, self.abort)
            self._resume()
        else:
            self.abort()

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)

    def data_received(self, data: bytes) -> None:
        """Parse what came; an answer nobody asked for ends the connection."""
        if self._complete:
            self.abort()
            return
        self._wire_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self._complete:
                self._keep_alive = False
                self.abort()
            else:
                self._fail(NotMcpError("the answer is not HTTP/1.1"))
        self._check_bounds()
        self._wake()

    def _check_bounds(self) -> None:
        if self._complete:
            return
        if self._head is None and self._wire_bytes > MAX_HEAD_BYTES:
            self._fail(NotMcpError(f"the head of the answer has more than {MAX_HEAD_BYTES} bytes"))
        elif self._wire_bytes > 2 * self._limit + MAX_HEAD_BYTES:
            # Chunk sizes and trailers may take as much again as the body.
            self._fail_too_large()
        elif self._unread > PAUSE_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way; a body without a length ends here as it should (RFC 9112 section 6.3)."""
        self._transport = None
        self._stop_timer()
        if not self._complete:
            if exc is None and self._head is not None and not {"content-length", "transfer-encoding"} & self._fields.keys():
                self._complete = True
            else:
                self._fail(InterruptedCallError("the server ended the connection before its answer was whole"))
        self._wake()
        self._on_lost(self)
        if not self.lost.done():
            self.lost.set_result(None)

    # The parser's side.

    def on_message_begin(self) -> None:
        """Note an answer that begins after the one asked for: the connection is not used again."""
        if self._complete:
            self._keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header field; trailers say nothing that is needed."""
        if self._head is not None or self._complete:
            return
        key, text = read_field(name, value)
        self._fields[key] = f"{self._fields[key]}, {text}" if key in self._fields else text

    def on_headers_complete(self) -> None:
        """Take the head, unless it is of an interim answer (1xx)."""
        status = self._parser.get_status_code()
        if self._complete or status < 200:
            self._fields = {}
        else:
            self._head = Head(status, self._fields)

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        if self._complete or self._error is not None:
            return
        self._body_bytes += len(piece)
        if self._body_bytes > self._limit:
            self._fail_too_large()
        elif not self._discarding:
            self._pieces.append(piece)
            self._unread += len(piece)

    def on_message_complete(self) -> None:
        """Note the end of the answer."""
        if self._head is None or self._complete or self._error is not None:
            return
        self._keep_alive = self._parser.should_keep_alive()
        self._complete = True
        self._stop_timer()
        if self._discarding:
            self._loop.call_soon(self._free)

    # Ends.

    def _free(self) -> None:
        if self._keep_alive and self._transport is not None and not self._transport.is_closing():
            self._resume()
            self._on_free(self)
        else:
            self.abort()

    def _fail_too_large(self) -> None:
        self._fail(TooLargeError(f"the answer has more than {self._limit} bytes"))

    def _fail(self, error: UpstreamError) -> None:
        if self._error is None and not self._complete:
            self._error = error
        self.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _stop_timer(self) -> None:
        self.deadline = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
