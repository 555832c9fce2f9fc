"""What came on a shared stream for one who waits, in order, up to a bound of bytes."""

from __future__ import annotations

import asyncio
from collections import deque

from wharfinger_mcp.errors import TimedOutError, TooLargeError
from wharfinger_mcp.jsonrpc import Notification, Request, Response

Item = Request | Notification | Response


class Mailbox:
    """Filled by who reads the stream, emptied by who waits: a slow one holds up nobody else."""

    def __init__(self, limit: int, *, hears: bool) -> None:
        self.why = ""
        """Why nothing more comes."""
        self._hears = hears
        self._limit = limit
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._is_full = False
        self._is_ended = False
        self._changed = asyncio.Event()

    def put(self, item: Item, size: int) -> None:
        """Take what came; beyond the bound, whoever waits gets an error instead."""
        if self._bytes + size > self._limit:
            self._is_full = True
        else:
            self._items.append((item, size))
            self._bytes += size
        self._changed.set()

    def tell(self, item: Item, size: int) -> bool:
        """Take what is no answer, if whoever waits wants to hear it, and return whether that is so."""
        if self._hears:
            self.put(item, size)
        return self._hears

    def end(self, why: str) -> None:
        """Take nothing any more."""
        self.why = why
        self._is_ended = True
        self._changed.set()

    async def take(self, deadline: float) -> Item | None:
        """Return the next item, None where none comes any more.

        Raises TimedOutError where none has come at `deadline` (loop time), TooLargeError where more came than the bound allows.
        """
        try:
            async with asyncio.timeout_at(deadline):
                while not (self._items or self._is_full or self._is_ended):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimedOutError("the server did not answer in time") from None
        if self._items:
            item, size = self._items.popleft()
            self._bytes -= size
            return item
        if self._is_full:
            raise TooLargeError(f"the server sent more than {self._limit} bytes")
        return None
