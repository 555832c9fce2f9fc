"""What a connection of a client may cost: a head that comes slowly, an answer that nobody reads, connections without number.

An answer is held in memory until its client has read it. A connection ends when its first request's head is not there in time, when its
client reads too slowly, or when all unread answers together are too much: the one with the most unread goes first. Where there are too
many connections, those idle longest make room. The head of a later request is bounded by the keep-alive time. All of that costs a request
nothing: it happens once a connection, while a client does not read, or once a second for all.
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
from typing import Final, Protocol

_ROOM: Final = 20
"""One connection in so many is closed at once to make room, so that making room is rare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionBounds:
    """Bounds of all connections of a server together, and of each."""

    connections: int = 16_384
    head_seconds: float = 20.0
    """For the first request's head."""
    keepalive_seconds: float = 75.0
    """Between two requests. More than the 60 s after which common load balancers let go of an idle connection, so that it is they who close it."""
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


class Bounded(Protocol):
    """One connection, as far as it is bounded."""

    idle_since: float
    """Since when it waits for a request, in loop time."""
    task: asyncio.Task[None] | None
    """What answers its requests."""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request."""

    @property
    def is_fresh(self) -> bool:
        """Whether it has had no request yet."""

    def abort(self) -> None:
        """Close at once, without the answer's rest."""

    def close(self) -> None:
        """Close when what was written has been read."""

    def look(self, now: float) -> None:
        """Let happen what is due, once a second."""


class Connections:
    """The connections of one server, within bounds."""

    def __init__(self, bounds: ConnectionBounds, ended: Callable[[Ended], None]) -> None:
        self.bounds = bounds
        self._ended = ended
        self._most = min(bounds.connections, max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
        self._open: dict[Bounded, None] = {}
        self._unread: dict[Bounded, int] = {}
        self._unread_bytes = 0
        self._sweep_seconds = max(0.05, min(1.0, bounds.head_seconds / 4, bounds.keepalive_seconds / 4))
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def unread(self) -> int:
        """Bytes of answers that wait for their clients."""
        return self._unread_bytes

    @property
    def all(self) -> tuple[Bounded, ...]:
        """Every one."""
        return tuple(self._open)

    def opened(self, connection: Bounded) -> None:
        """Take a connection in, making room for it, or close it where all others are busy."""
        self._open[connection] = None
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._sweep_seconds, self._sweep)
        if len(self._open) <= self._most:
            return
        idle = [one for one in self._open if one is not connection and one.is_idle]
        for one in heapq.nsmallest(max(1, self._most // _ROOM), idle, key=lambda one: one.idle_since) or [connection]:
            self.closed(one)
            self.end(one, Ended.TOO_MANY if one is connection else Ended.MADE_ROOM)

    def behind(self, connection: Bounded, size: int) -> None:
        """Take note of what a client has not read yet."""
        self.caught_up(connection)
        self._unread[connection] = size
        self._unread_bytes += size
        while self._unread_bytes > self.bounds.unread_bytes:
            most = max(self._unread, key=self._unread.__getitem__)
            self.caught_up(most)
            self.end(most, Ended.UNREAD_TOGETHER)

    def caught_up(self, connection: Bounded) -> None:
        """Take note that a client has nothing left to read."""
        self._unread_bytes -= self._unread.pop(connection, 0)

    def closed(self, connection: Bounded) -> None:
        """Forget a connection."""
        self.caught_up(connection)
        self._open.pop(connection, None)

    def end(self, connection: Bounded, why: Ended) -> None:
        """End a connection at once."""
        connection.abort()
        self._ended(why)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        late, unused = now - self.bounds.head_seconds, now - self.bounds.keepalive_seconds
        for one in tuple(self._open):
            if one.is_fresh and one.idle_since < late:
                self.end(one, Ended.HEAD_LATE)
            elif one.is_idle and one.idle_since < unused:
                one.close()
            else:
                one.look(now)
        self._sweeper = loop.call_later(self._sweep_seconds, self._sweep) if self._open else None


class Reading:
    """Watches a client that does not read as fast as it is written to."""

    __slots__ = ("_connection", "_connections", "_timer", "_transport", "_unread")

    def __init__(self, connection: Bounded, connections: Connections, transport: asyncio.Transport) -> None:
        self._connection, self._connections, self._transport = connection, connections, transport
        self._timer: asyncio.TimerHandle | None = None
        self._watch()

    def stop(self) -> None:
        """Stop watching: it has caught up, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._connections.caught_up(self._connection)

    def _watch(self) -> None:
        self._unread = _unread(self._transport)
        self._timer = asyncio.get_running_loop().call_later(self._connections.bounds.stalled_seconds, self._look)
        self._connections.behind(self._connection, self._transport.get_write_buffer_size())

    def _look(self) -> None:
        if self._unread - _unread(self._transport) < self._connections.bounds.stalled_bytes:
            self._connections.end(self._connection, Ended.UNREAD)
        else:
            self._watch()


def _unread(transport: asyncio.Transport) -> int:
    """Return what the other end has not taken yet. The kernel's part counts as well: it takes more from us only when much of it has gone."""
    queued = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    return transport.get_write_buffer_size() + int.from_bytes(queued, sys.byteorder)


def raise_file_limit() -> None:
    """Allow as many open files as the system grants: each connection is one, and shells start programs with 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
