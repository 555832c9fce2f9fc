"""An answer of a server, read as it comes."""

from __future__ import annotations

import asyncio
from typing import Final

from wharfinger_mcp.http_connection import Connection, Head

TURN_BYTES: Final = 16 * 1024


class Answer:
    """An answer whose head has arrived; `close` it whatever happens."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self.status = head.status
        self.headers = head.headers
        self._connection = connection
        self._rest = b""
        self._closed = False

    async def piece(self) -> bytes:
        """Return the next piece of the body, empty at its end; raises as `HttpClient.send` does once it has sent."""
        return await self._connection.piece()

    async def turn(self) -> bytes:
        """Return the next piece as `piece` does, of a size after which everybody else has his turn: of a stream, each byte is worked on."""
        if self._rest:
            await asyncio.sleep(0)
        else:
            self._rest = await self.piece()
        turn, self._rest = self._rest[:TURN_BYTES], self._rest[TURN_BYTES:]
        return turn

    async def body(self) -> bytes:
        """Return the whole body."""
        pieces = []
        while piece := await self.piece():
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self, *, finishing: bool = False) -> None:
        """Give the connection back, or close it where the answer is not whole; `finishing` waits a moment for its end."""
        if not self._closed:
            self._closed = True
            self._connection.release(finishing=finishing)
