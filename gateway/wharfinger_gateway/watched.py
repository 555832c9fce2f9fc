"""Resources of one server that clients are told of when they change.

However many clients watch a resource, the server is asked once; in the older revisions by `resources/subscribe`, and it tells on the stream
that a GET opens; in the newest by `subscriptions/listen`, anew whenever other resources are watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from wharfinger_gateway.unasked import OPEN_SECONDS, STREAM, Unasked
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.errors import BusyError, ProtocolError, UpstreamError
from wharfinger_mcp.jsonrpc import Notification, Request
from wharfinger_mcp.upstream import CallLimits, Upstream

UPDATED: Final = "notifications/resources/updated"
ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
MAX_WATCHED: Final = 256
LIMITS: Final = CallLimits(10.0, 64 * 1024)

Tell = Callable[[str], None]
"""Takes the URI of a resource that has changed."""


class Watched:
    """Those of one session with one server. Belongs to one event loop; `close` it."""

    def __init__(self, upstream: Upstream, unasked: Unasked) -> None:
        self._upstream = upstream
        self._unasked = unasked
        self._watchers: dict[str, set[Tell]] = {}
        self._listening: asyncio.Task[None] | None = None
        unasked.on_updated = self._updated

    async def watch(self, uri: str, tell: Tell, headers: Mapping[str, str]) -> None:
        """Tell of changes of a resource from now on; raises UpstreamError where the server does not."""
        watchers = self._watchers.get(uri)
        if watchers is not None:
            watchers.add(tell)
            return
        if len(self._watchers) >= MAX_WATCHED:
            raise BusyError(f"{MAX_WATCHED} resources of the server are watched")
        self._watchers[uri] = {tell}
        try:
            await self._ask("resources/subscribe", uri, headers)
        except BaseException:
            self._watchers.pop(uri, None)
            raise

    async def unwatch(self, uri: str, tell: Tell, headers: Mapping[str, str]) -> None:
        """Tell no more; the server is told as far as it listens."""
        watchers = self._watchers.get(uri, set())
        watchers.discard(tell)
        if not watchers and self._watchers.pop(uri, None) is not None:
            with suppress(UpstreamError):
                await self._ask("resources/unsubscribe", uri, headers)

    def close(self) -> None:
        """Listen no longer."""
        if self._listening is not None:
            self._listening.cancel()

    async def _ask(self, method: str, uri: str, headers: Mapping[str, str]) -> None:
        session = await self._unasked.ready(headers, LIMITS)
        if session.era is Era.MODERN:
            await self._listen(headers)
            return
        response = await self._upstream.call(method, {"uri": jsonrpc.raw_json(uri)}, headers, LIMITS)
        if response.error is not None:
            raise ProtocolError(f"the server refused {method} with error {response.error.code}")

    async def _listen(self, headers: Mapping[str, str]) -> None:
        self.close()
        if not self._watchers:
            return
        is_open = asyncio.Event()
        self._listening = asyncio.create_task(self._follow(headers, is_open))
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                await is_open.wait()

    async def _follow(self, headers: Mapping[str, str], is_open: asyncio.Event) -> None:
        async def take(message: Request | Notification) -> None:
            if message.method == ACKNOWLEDGED:
                is_open.set()
            elif message.method == UPDATED:
                self._updated(jsonrpc.text_member(message.params, "uri") or "")

        wanted = {"notifications": jsonrpc.raw_json({"resourceSubscriptions": sorted(self._watchers)})}
        with suppress(UpstreamError):
            await self._upstream.call("subscriptions/listen", wanted, headers, STREAM, take)
        is_open.set()

    def _updated(self, uri: str) -> None:
        for tell in tuple(self._watchers.get(uri, ())):
            tell(uri)
