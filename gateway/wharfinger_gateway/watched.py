"""Resources and lists of one server that clients are told of when they change.

However many clients watch, the server is asked once; in the older revisions by `resources/subscribe`, and it tells on the stream that a GET
opens; in the newest by `subscriptions/listen`, anew whenever something else is watched, and the stream before is heard until then. As long as
anybody watches, that is kept up: a server that lost its session or ended its stream is asked again, and everybody is told once, for nobody
repeats what was said meanwhile.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from wharfinger_gateway.unasked import LIST_CHANGED, OPEN_SECONDS, STREAM, Unasked
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.errors import BusyError, ProtocolError, UpstreamError
from wharfinger_mcp.handshake import Handshake
from wharfinger_mcp.jsonrpc import Notification, Request
from wharfinger_mcp.notification import ACKNOWLEDGED, UPDATED
from wharfinger_mcp.upstream import CallLimits, Upstream

MAX_WATCHED: Final = 256
LIMITS: Final = CallLimits(10.0, 64 * 1024)
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 60.0
COALESCE_SECONDS: Final = 0.2
"""Changes of a list within so long are told as one."""

Tell = Callable[[str], None]
"""Takes the URI of a resource, or the kind of list, that has changed."""
Listen = Callable[[Mapping[str, str], Callable[[], None]], Coroutine[Any, Any, bool]]
"""Hears from a server until it ends that, and says when it can; tells whether it is worth coming back."""


@dataclass(slots=True, eq=False)
class _Asking:
    """One asking of the server to tell, kept up."""

    before: _Asking | None
    """What hears until this one does."""
    is_tried: asyncio.Event = field(default_factory=asyncio.Event)
    """It hears, or could not, or another has taken its place."""
    hears: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        return self.task is not None and self.task.done()

    def relieve(self) -> None:
        """End what it replaces."""
        if self.before is not None:
            self.before.cancel()
            self.before = None

    def cancel(self) -> None:
        self.relieve()
        self.is_tried.set()
        if self.task is not None:
            self.task.cancel()


class Watched:
    """Those of one session with one server. Belongs to one event loop; `close` it."""

    def __init__(self, upstream: Upstream, unasked: Unasked, forget: Callable[[str], None]) -> None:
        self._upstream = upstream
        self._unasked = unasked
        self._forget = forget
        self._resources: dict[str, set[Tell]] = {}
        self._beginning: dict[str, asyncio.Task[None]] = {}
        """The askings for a resource that the server has not answered yet, by URI."""
        self._lists: dict[str, set[Tell]] = {}
        self._asked_in: Handshake | None = None
        self._asking: _Asking | None = None
        self._has_missed = False
        """Something may have been said that nobody heard."""
        self._changed: dict[str, asyncio.TimerHandle] = {}
        unasked.on_updated = self._updated
        unasked.on_list_changed = self._list_changed

    @property
    def is_used(self) -> bool:
        """Whether anybody watches."""
        return bool(self._resources or self._lists)

    async def watch(self, uri: str, tell: Tell, headers: Mapping[str, str]) -> None:
        """Tell of changes of a resource from now on; raises UpstreamError where the server does not.

        The server is asked once, however many come before it has answered.
        """
        watchers = self._resources.get(uri)
        if watchers is None:
            if len(self._resources) >= MAX_WATCHED:
                raise BusyError(f"{MAX_WATCHED} resources of the server are watched")
            watchers = self._resources[uri] = set()
            self._beginning[uri] = asyncio.create_task(self._ask("resources/subscribe", uri, headers))
        watchers.add(tell)
        beginning = self._beginning.get(uri)
        if beginning is None:
            return
        try:
            await asyncio.shield(beginning)
        except BaseException:
            watchers.discard(tell)
            if not watchers or beginning.done():
                beginning.cancel()
                if self._resources.get(uri) is watchers:
                    del self._resources[uri]
            raise
        finally:
            if self._beginning.get(uri) is beginning and (beginning.done() or not watchers):
                del self._beginning[uri]

    async def unwatch(self, uri: str, tell: Tell, headers: Mapping[str, str]) -> None:
        """Tell no more; the server is told as far as it listens."""
        watchers = self._resources.get(uri, set())
        watchers.discard(tell)
        if not watchers and self._resources.pop(uri, None) is not None:
            with suppress(UpstreamError):
                await self._ask("resources/unsubscribe", uri, headers)

    async def watch_list(self, kind: str, tell: Tell, headers: Mapping[str, str]) -> None:
        """Tell of changes of the lists of a kind from now on, if the server says that it does; raises UpstreamError."""
        session = await self._upstream.open(headers, LIMITS)
        declared = session.capabilities.get(kind)
        if not isinstance(declared, dict) or declared.get("listChanged") is not True:
            return
        watchers = self._lists.setdefault(kind, set())
        watchers.add(tell)
        if len(watchers) == 1:
            await self._keep(session, headers)

    def unwatch_list(self, kind: str, tell: Tell) -> None:
        """Tell no more."""
        watchers = self._lists.get(kind, set())
        watchers.discard(tell)
        if not watchers:
            self._lists.pop(kind, None)
            if not self.is_used:
                self.close()

    def close(self) -> None:
        """Listen no longer."""
        self._has_missed = False
        if self._asking is not None:
            # Forgotten at once: its task ends a moment later, and who comes until then is not to rely on it.
            self._asking.cancel()
            self._asking = None
        for timer in self._changed.values():
            timer.cancel()
        self._changed.clear()

    def retire(self) -> None:
        """Forget everybody, without asking the server for anything: its connection counts no more."""
        self._resources.clear()
        self._lists.clear()
        self.close()

    async def _ask(self, method: str, uri: str, headers: Mapping[str, str]) -> None:
        session = await self._unasked.ready(headers, LIMITS)
        if session.era is Era.LEGACY:
            response = await self._upstream.call(method, {"uri": jsonrpc.raw_json(uri)}, headers, LIMITS)
            if response.error is not None:
                raise ProtocolError(f"the server refused {method} with error {response.error.code}")
        await self._keep(session, headers)

    async def _keep(self, session: Handshake, headers: Mapping[str, str]) -> None:
        """Have the server asked for what is watched now, as long as anything is."""
        before = self._asking
        if before is not None and not before.is_over and session.era is Era.LEGACY:
            return
        if not self.is_used:
            self.close()
            return
        if before is not None and not before.hears:
            still, before.before = before.before, None
            before.cancel()
            before = still
        self._asked_in, self._asking = session, (asking := _Asking(before))
        listen = self._stay_subscribed if session.era is Era.LEGACY else self._listen
        asking.task = asyncio.create_task(self._keep_asking(asking, listen, headers))
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                while (newest := self._asking) is not None and not newest.is_tried.is_set():
                    await newest.is_tried.wait()

    async def _keep_asking(self, asking: _Asking, listen: Listen, headers: Mapping[str, str]) -> None:
        pause, loop = FIRST_PAUSE_SECONDS, asyncio.get_running_loop()

        def opened() -> None:
            asking.hears = True
            asking.relieve()
            if self._has_missed:
                self._has_missed = False
                self._tell_everybody()
            asking.is_tried.set()

        while self.is_used:
            began, is_worth_it = loop.time(), True
            with suppress(UpstreamError):
                is_worth_it = await listen(headers, opened)
            asking.hears, self._has_missed = False, True
            asking.is_tried.set()
            if not is_worth_it or asking is not self._asking:
                return
            pause = FIRST_PAUSE_SECONDS if loop.time() - began > LONGEST_PAUSE_SECONDS else min(2 * pause, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing

    async def _stay_subscribed(self, headers: Mapping[str, str], opened: Callable[[], None]) -> bool:
        """Listen to a legacy server, subscribed in the session that it knows; return False where it has no stream."""
        session = await self._unasked.ready(headers, LIMITS)
        if session.era is not Era.LEGACY:
            return await self._listen(headers, opened)
        if not self._unasked.is_listening:
            return await self._unasked.ended()
        if session is not self._asked_in:
            for uri in tuple(self._resources):
                await self._upstream.call("resources/subscribe", {"uri": jsonrpc.raw_json(uri)}, headers, LIMITS)
            self._asked_in = session
        opened()
        return await self._unasked.ended()

    async def _listen(self, headers: Mapping[str, str], opened: Callable[[], None]) -> bool:
        """Listen to a modern server; return False where it does not tell."""

        async def take(message: Request | Notification) -> None:
            if message.method == ACKNOWLEDGED:
                opened()
            elif message.method == UPDATED:
                self._updated(jsonrpc.text_member(message.params, "uri") or "")
            elif message.method in LIST_CHANGED:
                self._list_changed(LIST_CHANGED[message.method])

        lists = {f"{kind}ListChanged": True for kind in sorted(self._lists)}
        resources = {"resourceSubscriptions": sorted(self._resources)} if self._resources else {}
        wanted = {"notifications": jsonrpc.raw_json({**lists, **resources})}
        response = await self._upstream.call("subscriptions/listen", wanted, headers, STREAM, take)
        return response.error is None

    def _updated(self, uri: str) -> None:
        for tell in tuple(self._resources.get(uri, ())):
            tell(uri)

    def _list_changed(self, kind: str) -> None:
        self._forget(kind)
        if kind in self._lists and kind not in self._changed:
            self._changed[kind] = asyncio.get_running_loop().call_later(COALESCE_SECONDS, self._tell_list, kind)

    def _tell_list(self, kind: str) -> None:
        self._changed.pop(kind, None)
        for tell in tuple(self._lists.get(kind, ())):
            tell(kind)

    def _tell_everybody(self) -> None:
        for uri in tuple(self._resources):
            self._updated(uri)
        for kind in tuple(self._lists):
            self._list_changed(kind)
