"""Listen to the servers that say when their lists change: one stream an installation, a bounded number of them.

Invariants: a stream only ever makes a question earlier, so a server that is not listened to is polled as before. A server without
a stream is not tried again until its connection changes; one whose stream ends is, more slowly each time that it ends soon.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from wharfinger_crds.connection import Connection

STREAMS: Final = 256
STREAM_SECONDS: Final = 3600.0
"""How long a stream is kept before a new one is opened: a peer that is gone without a word is noticed then."""
Key = tuple[str, str]

_log = logging.getLogger(__name__)


class StreamError(Exception):
    """A stream could not be opened, or broke; the message holds no credential."""


Listen = Callable[[Connection, Callable[[], None]], Awaitable[bool]]
"""Listens to one server until its stream ends, calling back at each change; False: it has no stream. Raises StreamError."""


@dataclass(frozen=True)
class Patience:
    """Seconds between the end of one stream and the next."""

    first: float = 1.0
    longest: float = 300.0
    soon: float = 60.0
    """A stream that ends earlier than this ended soon."""

    def pause(self, short: int) -> float:
        """Return how long to wait after so many streams in a row that ended soon."""
        return min(self.first * 2.0 ** min(short, 16), self.longest)


@dataclass(frozen=True)
class _Stream:
    fingerprint: str
    task: asyncio.Task[None]


class Listeners:
    """The streams of this program."""

    def __init__(self, listen: Listen, limit: int = STREAMS, patience: Patience | None = None) -> None:
        self._listen = listen
        self._limit = limit
        self._patience = patience or Patience()
        self._streams: dict[Key, _Stream] = {}

    def follow(self, key: Key, connection: Connection, fingerprint: str, on_change: Callable[[], None]) -> None:
        """Listen to a server from now on, unless that is done or was found to be impossible, or there are streams enough."""
        stream = self._streams.get(key)
        if stream is not None and stream.fingerprint == fingerprint:
            return
        self.drop(key)
        if sum(not stream.task.done() for stream in self._streams.values()) < self._limit:
            self._streams[key] = _Stream(fingerprint, asyncio.create_task(self._keep_listening(connection, on_change)))

    def drop(self, key: Key) -> None:
        """Stop listening to a server."""
        if stream := self._streams.pop(key, None):
            stream.task.cancel()

    async def close(self) -> None:
        """End all streams and wait for that."""
        tasks = [stream.task for stream in self._streams.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_listening(self, connection: Connection, on_change: Callable[[], None]) -> None:
        clock, short = asyncio.get_running_loop().time, 0
        while True:
            began = clock()
            try:
                if not await self._listen(connection, on_change):
                    return
            except StreamError as error:
                _log.info("the stream of %s/%s: %s", connection.namespace, connection.name, error)
            except Exception:  # noqa: BLE001 - what a server says on its stream must not end the listening
                _log.exception("listening to the server of %s/%s failed", connection.namespace, connection.name)
            short = short + 1 if clock() - began < self._patience.soon else 0
            await asyncio.sleep(self._patience.pause(short) * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, guards nothing
