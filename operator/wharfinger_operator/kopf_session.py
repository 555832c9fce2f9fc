"""The session that kopf talks to the API server through, and what is overheard there.

It is told the news only. kopf says neither that it listed anew, so that deletions may have been missed, nor that a watch is dead. And what it would
not bear, it is spared: after 401 it logs in again without a pause, after 429 it sleeps for as long as it is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import aiohttp
import kopf

from wharfinger_cluster.connection import Login
from wharfinger_operator.kopf_news import NewsOfWatch, news_of_list

WAITS: Final = frozenset({401, 429})
"""Answers that are made a connection error of, which kopf tries again with its own pauses: the next request carries a fresh token."""
SILENT: Final = 60.0
"""Seconds after which a watch that has moved on by no version, not even a bookmark's, counts as dead."""

OnList = Callable[[str], object]
"""Called with the plural of what kopf has begun to list."""
IsKnownOf = Callable[[str, str, str, int], bool]
"""Tells whether an object, by plural, namespace, name and version, is known at that version or a newer one."""


class DeadWatchError(Exception):
    """A watch heard nothing: its version may lie in the future of an API server whose etcd was restored from a backup."""


class Overhearing:
    """A middleware of aiohttp clients."""

    def __init__(self, on_list: OnList, is_known: IsKnownOf, clock: Callable[[], float]) -> None:
        self._on_list = on_list
        self._is_known = is_known
        self._clock = clock
        self._watches: dict[str, tuple[str, float]] = {}
        """By path: the version and the time of the last watch."""

    async def __call__(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Pass the request on. Raises DeadWatchError for a watch from where the last one, long ago, was begun."""
        path, query = request.url.path, request.url.query
        version, began = self._watches.get(path, ("", 0.0))
        if "watch" in query and query.get("resourceVersion") == version and self._clock() - began >= SILENT:
            raise DeadWatchError(f"a watch of {path} heard nothing for {SILENT:.0f} s")
        response = await handler(request)
        if response.status in WAITS:
            response.release()
            raise aiohttp.ClientConnectionError(f"{response.status} {response.reason}")
        plural = path.rpartition("/")[2]
        if response.ok and "watch" in query:
            self._watches[path] = (query.get("resourceVersion", ""), self._clock())
            # What was left out of it was heard, too.
            news: Any = NewsOfWatch(response.content, partial(self._is_known, plural), lambda: self._watches.pop(path, None))
            response.content = news
        elif response.ok:
            # Where aiohttp keeps what was read.
            response._body = news_of_list(await response.read(), partial(self._is_known, plural))
            if "continue" not in query:
                self._on_list(plural)
        return response


def kopf_session(
    login: Login, on_list: OnList, is_known: IsKnownOf, home: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.monotonic
) -> kopf.AiohttpSession:
    """Return a session of the running loop; its credential is asked for in the loop `home`, where it belongs to, `is_known` in this one."""

    async def authorize() -> str:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_asked(login), home))

    session = replace(login, authorization=authorize).session(outer=(Overhearing(on_list, is_known, clock),))
    return kopf.AiohttpSession(server=login.server, default_namespace=login.namespace, aiohttp_session=session)


async def _asked(login: Login) -> str:
    return await login.authorization()
