"""What a legacy server says outside of any call, on the stream that a GET opens: it belongs to the call that is under way.

Some servers put questions and log messages there (TypeScript SDK), and one that was not listening loses them, so the stream is open before
the first call of who can be asked or wants to hear. A question that could belong to several calls, or to none, is declined rather than shown
to the wrong caller.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

from wharfinger_gateway.asking import declined
from wharfinger_gateway.relay import LOG_LEVELS
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.errors import RefusedError, UpstreamError
from wharfinger_mcp.exchange import OnMessage
from wharfinger_mcp.handshake import Handshake
from wharfinger_mcp.jsonrpc import Notification, Request
from wharfinger_mcp.notification import CANCELLED, PROGRESS, UPDATED, list_changed
from wharfinger_mcp.upstream import CallLimits, Upstream

OPEN_SECONDS: Final = 3.0
"""For the stream's head; a server that takes longer is called without."""
MAX_UNTOLD: Final = 64
"""Messages of the client on their way to a server that is slow to take them."""
LIST_CHANGED: Final = {list_changed(kind): kind for kind in ("prompts", "resources")}
"""Methods that tell of lists which are asked for live, and their kinds."""
STREAM: Final = CallLimits(3600.0, 64 * 1024 * 1024)


class Unasked:
    """Listens to one session with a server. Belongs to one event loop; `close` it."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._session: Handshake | None = None
        self._listening: asyncio.Task[None] | None = None
        self._has_stream = True
        self._calls: list[OnMessage] = []
        self._users = 0
        self._log_rank = len(LOG_LEVELS)
        """Of the least severe level that the server was asked for in this session; none so far."""
        self.on_updated: Callable[[str], None] = lambda _: None
        """Takes the URI of a resource that has changed."""
        self.on_list_changed: Callable[[str], None] = lambda _: None
        """Takes the kind of list that has changed."""
        self.on_unclaimed: Callable[[Notification], None] = lambda _: None
        """Takes what belongs to no call that is under way, or nobody knows to which."""
        self._headers: Mapping[str, str] = {}
        self._untold: deque[Notification] = deque(maxlen=MAX_UNTOLD)
        self._telling: asyncio.Task[None] | None = None

    async def ready(self, headers: Mapping[str, str], limits: CallLimits) -> Handshake:
        """Return the session, once it is listened to or cannot be; raises UpstreamError where there is none."""
        session = await self._upstream.open(headers, limits)
        self._headers = headers
        if session is not self._session or self._was_cut_off():
            self.close()
            self._session, self._has_stream, self._log_rank = session, True, len(LOG_LEVELS)
            if session.era is Era.LEGACY:
                is_open = asyncio.Event()
                self._listening = asyncio.create_task(self._listen(headers, is_open))
                with suppress(TimeoutError):
                    async with asyncio.timeout(OPEN_SECONDS):
                        await is_open.wait()
        return session

    @property
    def may_log(self) -> bool:
        """Whether the server is an older one that logs, as far as is known."""
        known = self._upstream.known
        return known is None or (known.era is Era.LEGACY and "logging" in known.capabilities)

    async def hear_logs(self, level: str | None, headers: Mapping[str, str], limits: CallLimits, *, is_shared: bool) -> None:
        """Hear what a legacy server logs, and have it log whatever is at least so severe; None leaves that to it. Raises UpstreamError.

        It is asked once a session, and again where somebody wants to hear more: who wants less is told less by `relay`. Where clients
        share the session, that is at least `info`: some of them may have said nothing.
        """
        if self._upstream.known is None:
            await self._upstream.open(headers, limits)
        if not self.may_log:
            return
        await self.ready(headers, limits)
        rank = LOG_LEVELS.index(level) if level in LOG_LEVELS else len(LOG_LEVELS)
        if is_shared and level is not None:
            rank = min(rank, LOG_LEVELS.index("info"))
        if rank >= self._log_rank:
            return
        self._log_rank = rank
        with suppress(UpstreamError):
            await self._upstream.call("logging/setLevel", {"level": jsonrpc.raw_json(LOG_LEVELS[rank])}, headers, limits)

    def tell(self, message: Notification) -> None:
        """Pass on what the client says unasked, in order; whether it arrives nobody can tell."""
        self._untold.append(message)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while self._untold:
            with suppress(UpstreamError):
                await self._upstream.say(self._untold.popleft(), self._headers)

    @property
    def is_listening(self) -> bool:
        """Whether a stream is listened to."""
        return self._listening is not None and not self._listening.done()

    async def ended(self) -> bool:
        """Wait until the stream that is listened to ends; return False where the server has none."""
        if self._listening is not None:
            await asyncio.wait((self._listening,))
        return self._has_stream

    @property
    def is_free(self) -> bool:
        """Whether nobody uses the session."""
        return not self._users

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While this lasts the session is somebody's."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    def _was_cut_off(self) -> bool:
        return self._has_stream and self._listening is not None and self._listening.done()

    @contextmanager
    def during(self, take: OnMessage) -> Iterator[None]:
        """While this lasts a call is under way that `take`s what is said."""
        self._calls.append(take)
        try:
            yield
        finally:
            self._calls.remove(take)

    def close(self) -> None:
        """Listen no longer."""
        if self._listening is not None:
            self._listening.cancel()

    async def _listen(self, headers: Mapping[str, str], is_open: asyncio.Event) -> None:
        async def take(message: Request | Notification) -> None:
            if message.method == UPDATED:
                self.on_updated(jsonrpc.text_member(message.params, "uri") or "")
            elif message.method in LIST_CHANGED:
                self.on_list_changed(LIST_CHANGED[message.method])
            elif len(self._calls) == 1:
                await self._calls[0](message)
            elif message.method in (PROGRESS, CANCELLED):
                for call in tuple(self._calls):
                    await call(message)
            elif isinstance(message, Notification):
                self.on_unclaimed(message)
            else:
                with suppress(UpstreamError):
                    await self._upstream.answer(message.id, declined(message), headers)

        try:
            await self._upstream.stream(headers, STREAM, is_open.set, take)
        except RefusedError:
            self._has_stream = False
        except UpstreamError:
            return
        finally:
            is_open.set()
