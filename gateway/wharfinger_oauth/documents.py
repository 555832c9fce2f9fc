"""Metadata documents of clients, fetched when they are needed and kept for as long as their hosts say, within bounds.

What fails is never kept, so that a client which mends its document is known at once; a bucket for each host keeps that from being a means to
make requests with.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from wharfinger_oauth.client import Client
from wharfinger_oauth.client_document import MAX_DOCUMENT, MAX_KEY_SET, DocumentError, document_host, read_document, read_keys
from wharfinger_oauth.guarded_http import Answer, Fetcher, FetchError, OversizeError
from wharfinger_oauth.unavailable import Unavailable

MIN_SECONDS: Final = 60.0
MAX_SECONDS: Final = 86_400.0
DEFAULT_SECONDS: Final = 300.0
"""Where a host says nothing, and at most where keys are elsewhere: they change without the document."""
MAX_DOCUMENTS: Final = 1000
MAX_HOSTS: Final = 1000
BURST: Final = 10.0
"""Fetches of one host at once."""
REFILL: Final = 0.2
"""Fetches of one host a second, in the long run."""

RETRY_SECONDS: Final = 5
"""After which it is worth asking a host again: then the bucket has another fetch."""


@dataclass(frozen=True, slots=True)
class _Kept:
    client: Client
    until: float
    usable_until: float
    """Where the host cannot be reached any more."""


class Documents:
    """Finds clients by the URLs of their documents. Belongs to one event loop."""

    def __init__(
        self,
        fetcher: Fetcher,
        clock: Callable[[], float] = time.monotonic,
        report: Callable[[str, str], None] = lambda *_: None,
        most: int = MAX_DOCUMENTS,
    ) -> None:
        """Keep up to `most` documents; `report` is told of each failure: the host, and why."""
        self._most = most
        self._fetcher = fetcher
        self._clock = clock
        self._report = report
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[Client | Unavailable | None]] = {}
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def find(self, client_id: str) -> Client | Unavailable | None:
        """Return the client of an id that is a document's URL; None where there is no valid document, Unavailable where none can be had now."""
        kept = self._kept.get(client_id)
        if kept and kept.until > self._clock():
            self._kept.move_to_end(client_id)
            return kept.client
        task = self._under_way.get(client_id)
        if task is None:
            host = document_host(client_id)
            if host is None:
                return None
            if not self._takes(host):
                return self._still_usable(client_id, host, "too many fetches of this host")
            task = self._under_way[client_id] = asyncio.create_task(self._fetched(client_id, host))
            task.add_done_callback(lambda _: self._under_way.pop(client_id, None))
        # Whoever gives up does not end it for the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is under way."""
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetched(self, client_id: str, host: str) -> Client | Unavailable | None:
        try:
            client, seconds = await self._read(client_id)
        except (DocumentError, OversizeError) as error:
            self._report(host, str(error))
            self._kept.pop(client_id, None)
            return None
        except FetchError as error:
            return self._still_usable(client_id, host, str(error))
        now = self._clock()
        self._kept[client_id] = _Kept(client, now + seconds, now + MAX_SECONDS)
        self._kept.move_to_end(client_id)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return client

    async def _read(self, client_id: str) -> tuple[Client, float]:
        answer = await self._fetcher.get(client_id, MAX_DOCUMENT)
        _check_status(answer)
        found = read_document(client_id, answer.headers.get("content-type", ""), answer.body)
        if found.keys_url is None:
            return found.client, _seconds(answer.headers)
        if not self._takes(urlsplit(found.keys_url).hostname or ""):
            raise FetchError("too many fetches of the host of jwks_uri")
        keys = await self._fetcher.get(found.keys_url, MAX_KEY_SET)
        _check_status(keys)
        client = replace(found.client, keys=read_keys(keys.headers.get("content-type", ""), keys.body))
        return client, min(_seconds(answer.headers), DEFAULT_SECONDS)

    def _still_usable(self, client_id: str, host: str, why: str) -> Client | Unavailable:
        self._report(host, why)
        # Clients that are told they are unknown forget their tokens: a host that is away for an hour would log everybody out.
        kept = self._kept.get(client_id)
        return kept.client if kept and kept.usable_until > self._clock() else Unavailable(f"{host}: {why}", RETRY_SECONDS)

    def _takes(self, host: str) -> bool:
        now = self._clock()
        left, at = self._buckets.pop(host, (BURST, now))
        left = min(BURST, left + (now - at) * REFILL)
        self._buckets[host] = (max(0.0, left - 1) if left >= 1 else left, now)
        while len(self._buckets) > MAX_HOSTS:
            self._buckets.popitem(last=False)
        return left >= 1


def _check_status(answer: Answer) -> None:
    if answer.status >= 500 or answer.status == 429:
        raise FetchError(f"status {answer.status}")
    if answer.status != 200:
        raise DocumentError(f"status {answer.status}")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise DocumentError("is compressed")


def _seconds(headers: Mapping[str, str]) -> float:
    """Return for how long an answer may be kept (RFC 9111 §4.2.1, §5.2), within the bounds."""
    directives = {
        name.strip().lower(): value.strip(' "')
        for name, _, value in (d.partition("=") for d in headers.get("cache-control", "").split(","))
    }
    if "no-store" in directives or "no-cache" in directives:
        return MIN_SECONDS
    if (age := directives.get("max-age", "")).isascii() and age.isdigit():
        return min(max(float(age[:12]), MIN_SECONDS), MAX_SECONDS)
    if "expires" in headers:
        try:
            left = parsedate_to_datetime(headers["expires"]) - parsedate_to_datetime(headers["date"])
        except (KeyError, ValueError, TypeError):
            return MIN_SECONDS
        return min(max(left.total_seconds(), MIN_SECONDS), MAX_SECONDS)
    return DEFAULT_SECONDS
