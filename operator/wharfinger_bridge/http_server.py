"""An HTTP/1.1 server for one purpose: small, bounded, and unable to be held up by a slow or hostile peer.

- A request is refused on its head where it can be, so that nobody without the token makes the bridge keep a body.
- One request at a time per connection, one task per request; a peer that goes away cancels its task.
- Every state of a connection has a deadline but the handling itself, which the handler bounds.
"""

import asyncio
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, cast

from wharfinger_bridge.http_message import (
    CONTINUE,
    HEAD_END,
    HEAD_LIMIT,
    LAST_CHUNK,
    ChunkedBody,
    FixedBody,
    Head,
    Malformed,
    Response,
    chunk,
    parse_head,
    render,
    text_response,
)
from wharfinger_bridge.log import log

_READ_AHEAD = 64 * 1024
_BUSY = text_response(503, "too many connections", ("Retry-After", "1"))
_STOPPING = text_response(503, "the server is stopping", ("Retry-After", "1"))


@dataclass(frozen=True)
class Limits:
    """Bytes, counts and seconds that no peer can exceed."""

    body: int = 4 * 1024 * 1024
    bodies: int = 64 * 1024 * 1024
    """Of all requests that are being read or answered together."""
    connections: int = 1088
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    write_seconds: float = 30.0
    idle_seconds: float = 600.0
    """How long a connection is kept without a request: longer than any caller keeps it, so that callers never meet a closed one."""
    linger_seconds: float = 2.0
    """How long the rest of a refused request is read and dropped, so that the refusal is not lost in a connection reset."""


class Handler(Protocol):
    """What the server asks of the application."""

    def admit(self, head: Head) -> Response | None:
        """Answer a request that its head already decides."""

    async def answer(self, head: Head, body: bytes) -> Response:
        """Answer a complete request; cancelled when the peer goes away."""


class HttpServer:
    """Accepts connections on bound sockets and keeps count of them."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.handler = handler
        self.limits = limits
        self.stopping = False
        self.idle: dict[Connection, None] = {}
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.body_bytes = 0

    def admit(self, head: Head) -> Response | None:
        """Answer a request that its head already decides: the application's reasons first, then size."""
        if self.stopping:
            return _STOPPING
        response = self.handler.admit(head)
        if response is not None:
            return response
        expected = self.body_size(head)
        if expected > self.limits.body:
            return text_response(413, f"the body is larger than {self.limits.body} bytes")
        return _BUSY if self.body_bytes + expected > self.limits.bodies else None

    def body_size(self, head: Head) -> int:
        """Return how many bytes a request may bring."""
        return self.limits.body if head.length is None else head.length

    def has_room(self) -> bool:
        """Make room for a new connection, at the cost of the one that is idle longest."""
        if len(self.connections) < self.limits.connections:
            return True
        longest_idle = next(iter(self.idle), None)
        if longest_idle is not None:
            longest_idle.close()
        return longest_idle is not None

    async def drain(self, grace: float) -> int:
        """Close what is idle, wait for requests in flight at most `grace` seconds, then close all; return how many were cut off."""
        self.stopping = True
        for connection in tuple(self.idle):
            connection.close()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=grace)
        cut = len(self.tasks)
        for connection in tuple(self.connections):
            connection.close()
        return cut


class Connection(asyncio.Protocol):
    """One connection: reads a request, has it answered, and again."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._limits = server.limits
        self._transport: asyncio.Transport
        self._buffer = bytearray()
        self._scanned = 0
        self._head: Head | None = None
        self._body: FixedBody | ChunkedBody = FixedBody(0)
        self._reserved = 0
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._writable = True
        self._resumed = asyncio.Event()
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or turn away at once."""
        self._transport = cast(asyncio.Transport, transport)
        has_room = self._server.has_room()
        self._server.connections.add(self)
        if has_room:
            self._await_request()
        else:
            self._refuse(_BUSY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything; who waits for an answer of this connection is cancelled."""
        self._arm(None)
        self._release()
        self._server.connections.discard(self)
        self._server.idle.pop(self, None)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a later request wait until this one is answered."""
        if self._refused:
            return
        self._buffer += data
        if self._task is None and self._writable:
            self._advance()
        elif len(self._buffer) > _READ_AHEAD:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Stop serving a peer that does not read."""
        self._writable = False
        self._arm(self._limits.write_seconds, self._transport.abort)

    def resume_writing(self) -> None:
        """Go on with a peer that reads again."""
        self._writable = True
        self._resumed.set()
        if self._task is not None:
            self._arm(None)
        elif not self._refused and not self._transport.is_closing():
            self._await_request()
            self._advance()

    def close(self) -> None:
        """Close after what is written has been sent."""
        self._server.idle.pop(self, None)
        self._transport.close()
        self._arm(self._limits.write_seconds, self._transport.abort)

    def _advance(self) -> None:
        while self._buffer and self._task is None and self._writable and not self._transport.is_closing() and not self._refused:
            if not (self._read_head() if self._head is None else self._read_body(self._head)):
                return

    def _read_head(self) -> bool:
        """Tell whether the head was complete and dealt with."""
        if self in self._server.idle:
            del self._server.idle[self]
            self._arm(self._limits.head_seconds, self._expire)
        end = self._buffer.find(HEAD_END, self._scanned)
        self._scanned = max(0, len(self._buffer) - len(HEAD_END) + 1)
        if end > HEAD_LIMIT or (end < 0 and len(self._buffer) > HEAD_LIMIT):
            self._refuse(text_response(431, f"the head is larger than {HEAD_LIMIT} bytes"))
        if end < 0 or self._refused:
            return False
        head = parse_head(bytes(self._buffer[:end]))
        del self._buffer[: end + len(HEAD_END)]
        self._scanned = 0
        if isinstance(head, Malformed):
            self._refuse(text_response(head.status, head.reason))
            return False
        self._begin(head)
        return True

    def _begin(self, head: Head) -> None:
        response = self._server.admit(head)
        if response is None:
            self._head = head
            self._body = ChunkedBody(self._limits.body) if head.length is None else FixedBody(head.length)
            self._reserved = self._server.body_size(head)
            self._server.body_bytes += self._reserved
            self._arm(self._limits.body_seconds, self._expire)
            if head.expects_continue and not self._buffer:
                self._transport.write(CONTINUE)
            self._read_body(head)
        elif head.length == 0 and head.keep_alive and not self._server.stopping:
            self._transport.write(render(response, keep_alive=True))
            self._await_request()
        else:
            self._refuse(response)

    def _read_body(self, head: Head) -> bool:
        if self._task is not None:
            return False
        body = self._body.feed(self._buffer)
        if isinstance(body, Malformed):
            self._refuse(text_response(body.status, body.reason))
        elif body is not None:
            self._arm(None)
            self._task = asyncio.get_running_loop().create_task(self._answer(head, body))
            self._server.tasks.add(self._task)
            self._task.add_done_callback(self._server.tasks.discard)
        return False

    async def _answer(self, head: Head, body: bytes) -> None:
        try:
            response = await self._server.handler.answer(head, body)
        except Exception as error:  # noqa: BLE001  one broken request must not end the process; it is logged with its place
            place = traceback.extract_tb(error.__traceback__)[-1]
            log("fault", error=type(error).__name__, at=f"{place.filename}:{place.lineno}")
            response = text_response(500, "internal error")
        keep_alive = head.keep_alive and not self._server.stopping and response.stream is None
        if response.stream is not None:
            await self._send_stream(response, response.stream)
        self._task = None
        self._release()
        self._transport.write(LAST_CHUNK if response.stream is not None else render(response, keep_alive=keep_alive))
        if not keep_alive:
            self.close()
            return
        self._await_request()
        self._advance()

    async def _send_stream(self, response: Response, stream: AsyncGenerator[bytes]) -> None:
        """Write pieces as fast as they are read; who does not read them is cut off, which cancels this."""
        self._transport.write(render(response, keep_alive=False))
        async with aclosing(stream):
            async for piece in stream:
                self._transport.write(chunk(piece))
                while not self._writable:
                    self._resumed.clear()
                    await self._resumed.wait()

    def _await_request(self) -> None:
        self._head = None
        self._transport.resume_reading()
        if self._writable:
            self._server.idle[self] = None
            self._arm(self._limits.idle_seconds, self.close)

    def _refuse(self, response: Response) -> None:
        """Answer and close, though the peer may still be sending."""
        self._refused = True
        self._buffer.clear()
        self._release()
        self._transport.write(render(response, keep_alive=False))
        self._transport.write_eof()
        self._arm(self._limits.linger_seconds, self._transport.abort)

    def _expire(self) -> None:
        self._refuse(text_response(408, "the request did not arrive in time"))

    def _release(self) -> None:
        self._server.body_bytes -= self._reserved
        self._reserved = 0

    def _arm(self, seconds: float | None, action: Callable[[], None] | None = None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
        if seconds is not None and action is not None:
            self._deadline = asyncio.get_running_loop().call_later(seconds, action)
