"""What a connection of a client may cost: a head that comes slowly, an answer that nobody reads, connections without number.

aiohttp holds an answer in memory until its client has read it, however long that takes, and takes any number of connections. Here a
connection ends when its first request's head is not there in time, when its client reads too slowly, or when all unread answers
together are too much: the one with the most unread goes first. Where there are too many connections, those idle longest make room. The head of a
later request is bounded by the keep-alive time.
"""

from __future__ import annotations

import asyncio
import fcntl
import heapq
import resource
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aiohttp import web

_ROOM: Final = 20
"""One connection in so many is closed at once to make room, so that making room is rare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionBounds:
    """Bounds of all connections of a server together, and of each."""

    connections: int = 16_384
    head_seconds: float = 20.0
    """For the first request's head."""
    stalled_seconds: float = 15.0
    """In so long, a client that is behind must have read this much:"""
    stalled_bytes: int = 64 * 1024
    unread_bytes: int = 128 * 1024 * 1024
    """Of all answers that wait for their clients."""


class Ended(StrEnum):
    """Why a connection was ended."""

    HEAD_LATE = "head_late"
    UNREAD = "unread"
    UNREAD_TOGETHER = "unread_together"
    MADE_ROOM = "made_room"
    TOO_MANY = "too_many"


class BoundedServer(web.Server):
    """aiohttp's low-level server within bounds."""

    def __init__(
        self, handler: Any, bounds: ConnectionBounds | None = None, ended: Callable[[Ended], None] = lambda _: None, **options: Any
    ) -> None:
        super().__init__(handler, **options)
        self.ended = ended
        self.bounds = bounds or ConnectionBounds()
        self._most = min(self.bounds.connections, max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
        self._open: dict[BoundedConnection, None] = {}
        self._unread: dict[BoundedConnection, int] = {}
        self._unread_bytes = 0

    def __call__(self) -> web.RequestHandler:
        """Return what serves one connection."""
        return BoundedConnection(self, loop=self._loop, **self._kwargs)

    @property
    def count(self) -> int:
        """How many connections there are."""
        return len(self._open)

    @property
    def unread(self) -> int:
        """Bytes of answers that wait for their clients."""
        return self._unread_bytes

    def opened(self, connection: BoundedConnection) -> None:
        """Take a connection in, making room for it, or close it where all others are busy."""
        self._open[connection] = None
        if len(self._open) <= self._most:
            return
        idle = [one for one in self._open if one is not connection and one.is_idle]
        for one in heapq.nsmallest(max(1, self._most // _ROOM), idle, key=lambda one: one.idle_since) or [connection]:
            self.closed(one)
            one.abort(Ended.TOO_MANY if one is connection else Ended.MADE_ROOM)

    def behind(self, connection: BoundedConnection, size: int) -> None:
        """Take note of what a client has not read yet."""
        self.caught_up(connection)
        self._unread[connection] = size
        self._unread_bytes += size
        while self._unread_bytes > self.bounds.unread_bytes:
            most = max(self._unread, key=self._unread.__getitem__)
            self.caught_up(most)
            most.abort(Ended.UNREAD_TOGETHER)

    def caught_up(self, connection: BoundedConnection) -> None:
        """Take note that a client has nothing left to read."""
        self._unread_bytes -= self._unread.pop(connection, 0)

    def closed(self, connection: BoundedConnection) -> None:
        """Forget a connection."""
        self.caught_up(connection)
        self._open.pop(connection, None)


class BoundedConnection(web.RequestHandler):
    """One connection. It costs a request nothing: what happens here happens once a connection, or while a client does not read."""

    __slots__ = ("_bounded", "_timer", "_unread")

    def __init__(self, server: BoundedServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._bounded = server
        self._timer: asyncio.TimerHandle | None = None
        self._unread = 0

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def idle_since(self) -> float:
        """When it began to wait, on a clock of its own."""
        return self._next_keepalive_close_time

    def abort(self, why: Ended) -> None:
        """Close at once, without the answer's rest."""
        if self.transport is not None:
            self.transport.abort()
            self._bounded.ended(why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._timer = self._loop.call_later(self._bounded.bounds.head_seconds, self._head_is_due)
        self._bounded.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let nothing more happen."""
        self._stop()
        self._bounded.closed(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Watch a client that does not read as fast as it is written to."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Stop watching."""
        super().resume_writing()
        self._stop()
        self._bounded.caught_up(self)

    def _head_is_due(self) -> None:
        if self._request_count == 0:
            self.abort(Ended.HEAD_LATE)

    def _watch(self) -> None:
        self._stop()
        if self.transport is not None:
            self._unread = _unread(self.transport)
            self._timer = self._loop.call_later(self._bounded.bounds.stalled_seconds, self._look)
            self._bounded.behind(self, self.transport.get_write_buffer_size())

    def _look(self) -> None:
        if self.transport is None:
            return
        if self._unread - _unread(self.transport) < self._bounded.bounds.stalled_bytes:
            self.abort(Ended.UNREAD)
        else:
            self._watch()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _unread(transport: asyncio.Transport) -> int:
    """Return what the other end has not taken yet. The kernel's part counts as well: it takes more from us only when much of it has gone."""
    queued = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    return transport.get_write_buffer_size() + int.from_bytes(queued, sys.byteorder)


def raise_file_limit() -> None:
    """Allow as many open files as the system grants: each connection is one, and shells start programs with 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
