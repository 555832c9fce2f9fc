"""Streams on which clients hear unasked that what they see has changed.

Invariants: a stream tells only what its caller sees, and ends as soon as he may not see it any more: he is admitted anew whenever
anything is put in force, and from time to time, since credentials expire. Changes that come while a client does not read are told once.
Source: MCP 2025-11-25, "Listening for Messages from the Server"; 2026-07-28, subscriptions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Raw

from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.incoming import Incoming
from wharfinger_gateway.pool import Pool
from wharfinger_gateway.refusals import Reason, Refusal

MAX_STREAMS: Final = 10_000
MAX_SAID: Final = 64
"""Messages that are kept for a client that does not read."""
LOOK_SECONDS: Final = 15.0
"""How long a credential that has expired can keep a stream open."""

Announce = Callable[[str | None, str | None], bytes]
"""Gives the message that a kind of list has changed, or a resource."""
Offer = Mapping[str, Raw]
"""What a caller sees of each kind that can change (`tools`), as lists."""


class Listener:
    """One stream. Belongs to one event loop."""

    __slots__ = ("announce", "changed", "incoming", "is_over", "on_look", "said", "updated", "wake")

    def __init__(self, incoming: Incoming, announce: Announce, updated: dict[str, None]) -> None:
        self.incoming = incoming
        self.announce = announce
        self.updated = updated
        """URIs of resources that have changed and of which the client has not been told."""
        self.changed: dict[str, None] = {}
        """Kinds of lists that have changed at servers and of which the client has not been told."""
        self.said: deque[bytes] = deque(maxlen=MAX_SAID)
        """Messages of servers that belong to no call and that the client has not been told; the latest ones."""
        self.on_look: list[Callable[[Permit], None]] = []
        """Take what the caller may now, whenever that is looked at."""
        self.wake = asyncio.Event()
        self.is_over = False

    def look(self) -> None:
        """There may be something to tell."""
        self.wake.set()

    def say(self, message: bytes) -> None:
        """Tell this as well."""
        self.said.append(message)
        self.wake.set()

    def end(self) -> None:
        """Let the stream end."""
        self.is_over = True
        self.wake.set()


class Listeners:
    """Every stream of the process."""

    def __init__(self, admit: Callable[[Incoming], Permit | Refusal], offer: Callable[[Permit], Offer]) -> None:
        self._admit = admit
        self._offer = offer
        self._open: Pool[Listener, None] = Pool(MAX_STREAMS)
        """By the caller's subject."""
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def refusal(self, permit: Permit) -> Refusal | None:
        """Return why a caller gets no further stream; None where he does."""
        if self._closed or len(self._open) >= self._open.whole:
            return Refusal(Reason.STREAMS_EXHAUSTED)
        if self._open.held_by(permit.principal.subject) >= self._open.share:
            return Refusal(Reason.STREAMS_EXCEEDED, detail=f"{self._open.share} at a time.")
        return None

    async def serve(self, listener: Listener, permit: Permit, kinds: Iterable[str]) -> Refusal | None:
        """Tell of changes of these kinds until the stream is over; return why it could not be begun."""
        refusal = self.refusal(permit)
        if refusal is not None:
            return refusal
        channel = listener.incoming.channel
        self._open.put(permit.principal.subject, listener, None)
        try:
            channel.on_leave(listener.end)
            seen = self._offer(permit)
            await channel.open()
            while not listener.is_over:
                now = self._admit(listener.incoming)
                if isinstance(now, Refusal):
                    break
                offered = self._offer(now)
                for kind in kinds:
                    if offered.get(kind) != seen.get(kind) or kind in listener.changed:
                        listener.changed.pop(kind, None)
                        await channel.say(listener.announce(kind, None))
                seen = offered
                for follow in listener.on_look:
                    follow(now)
                while listener.updated:
                    uri = next(iter(listener.updated))
                    del listener.updated[uri]
                    await channel.say(listener.announce(None, uri))
                while listener.said:
                    await channel.say(listener.said.popleft())
                await _woken(listener)
        finally:
            self._open.take(permit.principal.subject, listener)
        return None

    def look(self) -> None:
        """Something was put in force: every stream looks whether it concerns its caller."""
        for _, listener, _ in self._open:
            listener.wake.set()

    def close(self) -> None:
        """End every stream, and begin none any more."""
        self._closed = True
        for _, listener, _ in self._open:
            listener.end()


async def _woken(listener: Listener) -> None:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await listener.wake.wait()
    except TimeoutError:
        return
    finally:
        listener.wake.clear()
