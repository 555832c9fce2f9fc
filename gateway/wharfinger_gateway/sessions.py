"""What this replica keeps of legacy clients' sessions while they are in use: which calls are under way, and what the client asked for.

Invariants: nothing here decides who may do what: the sealed id and the caller's credential do, at each request. The number of sessions is
bounded (`pool`), and a caller who opens many has his own ended.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from weakref import WeakSet

from msgspec import Raw

from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.pool import Pool
from wharfinger_gateway.session import Session
from wharfinger_gateway.snapshot import EMPTY
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.envelope import ASKABLE
from wharfinger_mcp.jsonrpc import Id, Notification, Response
from wharfinger_mcp.notification import PROGRESS, PROGRESS_TOKEN, ROOTS_CHANGED

MAX_SESSIONS: Final = 10_000
IDLE_SECONDS: Final = 1800.0


class Stream(Protocol):
    """On which a client listens."""

    on_look: list[Callable[[Permit], None]]
    """Take what the client may now, whenever that is looked at."""

    def look(self) -> None:
        """There is something to tell."""

    def say(self, message: bytes) -> None:
        """Tell this as well."""

    def end(self) -> None:
        """Let it end."""


class Subscribed(Protocol):
    """A resource that a client is told of."""

    def look(self, permit: Permit, /) -> None:
        """Follow what the client may now."""

    def end(self) -> None:
        """Tell no more."""


class Asks(Protocol):
    """A server that asks the client, in a session which is the client's alone."""

    def tell(self, message: Notification, /) -> None:
        """Pass on what the client says unasked."""


@dataclass(slots=True)
class LegacySession:
    """One session's state. Belongs to one event loop."""

    capabilities: Mapping[str, Raw] = field(default_factory=lambda: EMPTY)
    """What the client declared."""
    log_level: str | None = None
    """The least severe log messages that the client wants, once it has said so."""
    calls: dict[Id, Callable[[], None]] = field(default_factory=dict)
    """How to cancel what is under way, by the client's id."""
    answers: dict[Id, Callable[[Response], None]] = field(default_factory=dict)
    """What the client was asked and has not answered, by our id: each is taken once."""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    progress: dict[str, Callable[[Notification], None]] = field(default_factory=dict)
    """Who hears how far the client is with an answer, by the token that it was given."""
    servers: WeakSet[Asks] = field(default_factory=WeakSet)
    """Whoever has asked the client in this session, as long as it is there."""
    subscriptions: dict[str, Subscribed] = field(default_factory=dict)
    """What the client is told of, by URI."""
    updated: dict[str, None] = field(default_factory=dict)
    """Resources that have changed and of which it has not been told."""
    used_at: float = 0.0
    stream: Stream | None = None
    """On which the client listens."""

    @property
    def heard_level(self) -> str:
        """The least severe log messages that the client is told."""
        return self.log_level or "debug"

    @property
    def is_in_use(self) -> bool:
        """Whether anything is under way in it."""
        return bool(self.calls) or self.stream is not None

    @property
    def may_ask(self) -> bool:
        """Whether a call is under way in it that may want to know something of its client."""
        return bool(self.calls) and any(name in self.capabilities for name in ASKABLE)

    def await_answer(self, take: Callable[[Response], None]) -> str:
        """Return the id under which the client is asked; its answer goes to `take`."""
        request_id = f"wharfinger-{next(self.numbers)}"
        self.answers[request_id] = take
        return request_id

    def answered(self, response: Response) -> None:
        """Take the client's answer; one that nobody waits for is none."""
        take = self.answers.pop(response.id, None) if response.id is not None else None
        if take is not None:
            take(response)

    def heard(self, message: Notification) -> None:
        """Pass on what the client says unasked, to whom it is for."""
        if message.method == PROGRESS:
            take = self.progress.get(jsonrpc.text_member(message.params, PROGRESS_TOKEN) or "")
            if take is not None:
                take(message)
        elif message.method == ROOTS_CHANGED:
            for server in tuple(self.servers):
                server.tell(message)

    def tell_updated(self, uri: str) -> None:
        """Tell the client that a resource has changed, on its stream or when it has one."""
        self.updated[uri] = None
        if self.stream is not None:
            self.stream.look()

    def look(self, permit: Permit) -> None:
        """Follow what the client may now."""
        for subscription in self.subscriptions.values():
            subscription.look(permit)

    def listen(self, stream: Stream) -> None:
        """Take a new stream in place of the one that there is: its client has lost that, though nobody may have told us."""
        if self.stream is not None:
            self.stream.end()
        stream.on_look.append(self.look)
        self.stream = stream

    def left(self, stream: Stream) -> None:
        """Forget a stream that has ended."""
        if self.stream is stream:
            self.stream = None

    def cancel(self, request_id: Id) -> None:
        """Cancel a request; one that is not under way is none (2025-11-25, cancellation, "Timing considerations")."""
        cancel = self.calls.get(request_id)
        if cancel is not None:
            cancel()

    def end(self) -> None:
        """End what is under way."""
        if self.stream is not None:
            self.stream.end()
        for subscription in self.subscriptions.values():
            subscription.end()
        for cancel in tuple(self.calls.values()):
            cancel()


class Sessions:
    """The sessions that this replica knows of."""

    def __init__(self, replica: str = "") -> None:
        self.replica = replica
        """This one, as ids name it."""
        self._kept: Pool[str, LegacySession] = Pool(MAX_SESSIONS)
        """By principal and nonce."""
        self._ended: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def may_ask(self) -> bool:
        """Whether a call is under way that may want to know something of its client."""
        return any(kept.may_ask for _, _, kept in self._kept)

    def begin(self, session: Session, capabilities: Mapping[str, Raw], now: float) -> LegacySession:
        """Keep a new session and return its state; `now` is in seconds."""
        if len(self._kept) >= self._kept.whole:
            self._forget(*self._kept.spare(_is_in_use))
        kept = LegacySession(capabilities, used_at=now)
        self._kept.put(session.principal, session.nonce, kept)
        return kept

    def of(self, session: Session, now: float) -> LegacySession:
        """Return the state of a session; of one begun elsewhere or forgotten, a new one."""
        kept = self._kept.use(session.principal, session.nonce)
        if kept is None:
            return self.begin(session, EMPTY, now)
        kept.used_at = now
        return kept

    def is_lost(self, session: Session) -> bool:
        """Tell whether a session has ended here, or cannot go on without what was kept of it."""
        if session.nonce in self._ended:
            return True
        return session.bound and session.replica == self.replica and not self._kept.has(session.principal, session.nonce)

    def end(self, session: Session) -> None:
        """Forget a session; what is under way in it ends."""
        self._ended[session.nonce] = None
        if len(self._ended) > MAX_SESSIONS:
            self._ended.popitem(last=False)
        self._forget(session.principal, session.nonce)

    def sweep(self, now: float) -> None:
        """Forget sessions that nobody has used for half an hour."""
        for principal, nonce, kept in tuple(self._kept):
            if kept.used_at < now - IDLE_SECONDS and not kept.is_in_use:
                self._forget(principal, nonce)

    def _forget(self, principal: str, nonce: str) -> None:
        kept = self._kept.take(principal, nonce)
        if kept is not None:
            kept.end()


def _is_in_use(kept: LegacySession) -> bool:
    return kept.is_in_use
