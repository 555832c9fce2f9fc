"""An HTTP/1.1 server: it listens, and at its end lets what is under way end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from wharfinger_gateway.connection_bounds import ConnectionBounds, Connections, Ended
from wharfinger_gateway.http_exchange import Exchange
from wharfinger_gateway.server_connection import ServerConnection
from wharfinger_mcp.loop_time import loop_time

UNTOLD_SECONDS: Final = 1.0
"""For which a client that was not told may go on with its connection, to be told with the next answer."""
_ROUNDS: Final = 16
"""Of the event loop, more than closing takes."""


class HttpServer:
    """Listens, and has `handle` answer each request. Belongs to one event loop."""

    def __init__(
        self,
        handle: Callable[[Exchange], Awaitable[None]],
        bounds: ConnectionBounds | None = None,
        ended: Callable[[Ended], None] = lambda _: None,
    ) -> None:
        self.handle = handle
        self.connections = Connections(bounds or ConnectionBounds(), ended)
        self.is_ending = False
        self._listener: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> list[tuple[str, int]]:
        """Take connections from now on; return where. Raises OSError where that cannot be."""
        self._listener = await asyncio.get_running_loop().create_server(lambda: ServerConnection(self), host, port, backlog=1024)
        return [one.getsockname()[:2] for one in self._listener.sockets]

    async def close(self, seconds: float = 0.0) -> None:
        """Take no more connections, let no connection outlive its answer, and end after so many seconds what is still under way.

        A connection without a request is left open for a moment: what its client has sent already is answered.
        """
        self.is_ending = True
        if self._listener is not None:
            self._listener.close()
        begun = loop_time()
        await self._ended(min(seconds, UNTOLD_SECONDS))
        for one in self.connections.all:
            if one.is_idle:
                one.close()
        await self._ended(begun + seconds - loop_time())
        for one in self.connections.all:
            if one.task is not None:
                one.task.cancel()
            one.abort()
        for _ in range(_ROUNDS):
            if not self.connections.all:
                return
            await asyncio.sleep(0)

    async def _ended(self, seconds: float) -> None:
        """Wait until every connection has ended, so many seconds at most."""
        tasks = {one.task for one in self.connections.all if one.task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, seconds))
