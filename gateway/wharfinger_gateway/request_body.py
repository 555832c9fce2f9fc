"""The body of an HTTP/1.1 request while it arrives: by its length or in chunks (RFC 9112 §6, §7)."""

from __future__ import annotations

import asyncio
from typing import Final

import httptools

from wharfinger_gateway.refusals import Reason, Refusal

BODY_SECONDS: Final = 30.0
UNASKED_BYTES: Final = 64 * 1024
"""Taken of a body before anybody wants it."""
_CHUNKED: Final = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class RequestBody:
    """A body that has not arrived whole. Belongs to its connection, which feeds it."""

    __slots__ = ("_chunks", "_limit", "_missing", "_pieces", "_size", "_waiter", "_wire", "is_spoiled", "is_whole")

    def __init__(self, length: int | None) -> None:
        """Expect so many bytes; None: chunks."""
        self.is_whole = False
        self.is_spoiled = False
        """What follows it on the connection cannot be told from it."""
        self._size = 0
        self._wire = 0
        self._pieces: list[bytes] = []
        self._missing = length or 0
        self._limit: int | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._chunks: httptools.HttpRequestParser | None = None
        if length is None:
            self._chunks = httptools.HttpRequestParser(self)
            self._chunks.feed_data(_CHUNKED)

    @property
    def is_ahead(self) -> bool:
        """Whether more has come than anybody asked for."""
        return self._limit is None and self._wire > UNASKED_BYTES

    @property
    def is_over(self) -> bool:
        """Whether nothing more of it comes: it is whole, or never will be."""
        return self.is_whole or self.is_spoiled

    @property
    def is_passable(self) -> bool:
        """Whether the next request can be waited for, although nobody wanted this one's body."""
        return not self.is_spoiled and (self.is_whole or (self._chunks is None and self._missing <= UNASKED_BYTES))

    def feed(self, data: bytes) -> bytes:
        """Take what came, and return what comes after it."""
        rest = b""
        self._wire += len(data)
        if self._chunks is not None:
            try:
                self._chunks.feed_data(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade):
                self.is_spoiled = True
        else:
            data, rest = data[: self._missing], data[self._missing :]
            self._missing -= len(data)
            self._take(data)
            self.is_whole = not self._missing
        if self.is_over or self._is_too_large():
            self._wake()
        return rest

    def end(self) -> None:
        """Take note that nothing more comes."""
        self.is_spoiled = self.is_spoiled or not self.is_whole
        self._wake()

    async def read(self, limit: int) -> bytes | Refusal:
        """Return the whole body."""
        self._limit = limit
        if self._missing + self._size > limit:
            return Refusal(Reason.TOO_LARGE)
        if not (self.is_over or self._is_too_large()):
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    await self._waiter
            except TimeoutError:
                return Refusal(Reason.BODY_INCOMPLETE)
        if self._is_too_large():
            return Refusal(Reason.TOO_LARGE)
        return b"".join(self._pieces) if self.is_whole else Refusal(Reason.BODY_INCOMPLETE)

    # llhttp's side.

    def on_message_begin(self) -> None:
        """Take note of another request in the same bytes: nobody tells where it began."""
        self.is_spoiled = self.is_whole

    def on_body(self, piece: bytes) -> None:
        """Take a piece."""
        if not self.is_whole:
            self._take(piece)

    def on_message_complete(self) -> None:
        """Take note of the end."""
        self.is_whole = True

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._is_too_large():
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    def _is_too_large(self) -> bool:
        # Chunk sizes, and what may stand beside them, may take as much again.
        return self._limit is not None and (self._size > self._limit or self._wire > 2 * self._limit + UNASKED_BYTES)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
