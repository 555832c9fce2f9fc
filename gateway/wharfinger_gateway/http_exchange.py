"""One HTTP/1.1 request and its answer, whole or in pieces (RFC 9110, RFC 9112 §6, §7)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

from wharfinger_gateway.http_answer import CLOSE, CONTINUE, Fields, answer_head, whole_head
from wharfinger_gateway.http_head import Head
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.request_body import RequestBody
from wharfinger_mcp.written import write

_KEEP: Final = b"Connection: keep-alive\r\n"


class Connection(Protocol):
    """What an exchange takes place on."""

    transport: asyncio.Transport | None
    """None once the client is gone."""

    @property
    def is_ending(self) -> bool:
        """Whether it ends with its answer."""

    def resume(self) -> None:
        """Read on."""

    def drained(self) -> Awaitable[None]:
        """Wait until the client has read enough. Raises ConnectionError where it is gone."""


class Exchange:
    """One request and its answer."""

    __slots__ = ("_connection", "beat_at", "body", "closes", "has_begun", "has_ended", "head", "leaving", "on_beat")

    def __init__(self, connection: Connection, head: Head, body: bytes | RequestBody) -> None:
        self._connection = connection
        self.head = head
        self.body = body
        self.closes = head.closes
        self.has_begun = False
        self.has_ended = False
        self.leaving: dict[object, Callable[[], None]] | None = None
        """What the client's leaving means before it has its answer."""
        self.beat_at = 0.0
        """When `on_beat` is due, in loop time; 0: never."""
        self.on_beat: Callable[[], None] = _nothing

    @property
    def is_left(self) -> bool:
        """Whether the client is gone."""
        return self._connection.transport is None

    @property
    def peer(self) -> str:
        """The client's address, as far as the connection tells."""
        transport = self._connection.transport
        found = transport.get_extra_info("peername") if transport is not None else None
        return str(found[0]) if isinstance(found, tuple) and found else ""

    async def read(self, limit: int) -> bytes | Refusal:
        """Return the whole body, up to so many bytes."""
        body = self.body
        if isinstance(body, bytes):
            return body if len(body) <= limit else Refusal(Reason.TOO_LARGE)
        if self.head.expects and self._connection.transport is not None:
            self._connection.transport.write(CONTINUE)
        self._connection.resume()
        return await body.read(limit)

    def answer(self, status: int, fields: Fields, body: bytes) -> None:
        """Write the whole answer. Raises ValueError for a field that cannot stand in a head."""
        head = whole_head(status, fields, len(body), self._persistence())
        self.has_begun = self.has_ended = True
        transport = self._connection.transport
        if transport is not None:
            if self.head.verb == "HEAD":
                body = b""
            write(transport, head, body)

    def begin(self, fields: Fields) -> None:
        """Begin an answer of unknown length."""
        if self.head.is_old:
            # HTTP/1.0 has no chunks: the end of the connection is the answer's.
            self.closes = True
        framing = b"" if self.head.is_old else b"Transfer-Encoding: chunked\r\n"
        self.has_begun = True
        self._write(answer_head(200, fields) + framing + self._persistence() + b"\r\n")

    async def write(self, piece: bytes) -> None:
        """Write a piece of it, and wait until the client has read enough. Raises ConnectionError where it is gone."""
        if piece:
            self._write(piece if self.head.is_old else b"%x\r\n%b\r\n" % (len(piece), piece))
        await self._connection.drained()

    def end(self) -> None:
        """End it."""
        self.has_ended = True
        with suppress(ConnectionError):
            self._write(b"" if self.head.is_old else b"0\r\n\r\n")

    def left(self) -> None:
        """Tell whoever wants to know that the client is gone."""
        leaving, self.leaving = self.leaving, None
        for leave in tuple((leaving or {}).values()):
            leave()

    def _persistence(self) -> bytes:
        body = self.body
        self.closes = self.closes or self._connection.is_ending or not (isinstance(body, bytes) or body.is_passable)
        return CLOSE if self.closes else _KEEP if self.head.is_old else b""

    def _write(self, data: bytes) -> None:
        if self._connection.transport is None:
            raise ConnectionResetError("the client has left")
        self._connection.transport.write(data)


def _nothing() -> None:
    """Do nothing."""
