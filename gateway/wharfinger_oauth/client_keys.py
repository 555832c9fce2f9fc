"""Key sets of clients of the settings, by the URLs that administrators gave: fetched when a client proves itself, and kept for five minutes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Final

import httpx

from wharfinger_oauth.kept import Fetched, Kept
from wharfinger_oauth.provider_http import ask
from wharfinger_oauth.unavailable import Unavailable

LIFETIME: Final = 300.0
"""Seconds."""


class ClientKeys:
    """What is kept; it outlives settings."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._kept: dict[str, Kept[Mapping[str, Any]]] = {}

    def only(self, urls: Collection[str]) -> None:
        """Have these and no others from now on."""
        for url in self._kept.keys() - frozenset(urls):
            self._kept.pop(url).close()
        for url in urls:
            if url not in self._kept:
                self._kept[url] = Kept(partial(self._fetch, url))

    async def of(self, url: str) -> Mapping[str, Any] | Unavailable:
        """Return the key set of a URL, where it can be had."""
        kept = self._kept.get(url)
        return await kept.get() if kept is not None else Unavailable(f"{url} is no key set's of the settings any more")

    def close(self) -> None:
        """End fetches that are under way."""
        self.only(())

    async def _fetch(self, url: str) -> Fetched[Mapping[str, Any]] | Unavailable:
        answer = await ask(self._http, url)
        if isinstance(answer, Unavailable):
            return answer
        listed = answer.content.get("keys")
        if answer.status != 200 or not isinstance(listed, list):
            return Unavailable(f"{url} answered {answer.status} and no key set")
        return Fetched({"keys": listed}, LIFETIME)
