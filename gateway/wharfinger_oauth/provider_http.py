"""HTTP to identity providers, whose addresses administrators gave: bounded in size and time, never redirected, never in the clear.

Invariants: a request holds what is given here and nothing that the client keeps from others (cookies, credentials of its URL); an answer is
read as it comes over the wire, so that a small one cannot unpack to a large one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx

from wharfinger_crds.identity_provider import is_safe
from wharfinger_oauth.strict_json import Object, read_object
from wharfinger_oauth.unavailable import Unavailable

MAX_BYTES: Final = 64 * 1024
SECONDS: Final = 5.0
"""For a whole exchange."""
_FIELDS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "wharfinger"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object, and what came with it."""

    status: int
    content: Object = field(repr=False)
    headers: Mapping[str, str]


async def ask(
    http: httpx.AsyncClient,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer | Unavailable:
    """Send a GET, or a POST of a form; return the answer, whatever its status, where it is a JSON object."""
    if not is_harmless(url):
        return Unavailable("a URL of the identity provider is neither https nor on the loopback interface, or holds credentials")
    method = "GET" if form is None else "POST"
    try:
        request = httpx.Request(method, url, data=form, headers={**_FIELDS, **(headers or {})})
        async with asyncio.timeout(SECONDS):
            return await _exchange(http, request)
    except TimeoutError:
        return Unavailable(f"{_shown(url)} did not answer within {SECONDS:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        return Unavailable(f"{_shown(url)} cannot be reached: {type(error).__name__}")


def is_harmless(url: object) -> bool:
    """Tell whether a URL from a provider's document may be asked: https or loopback, a host, no credentials, no fragment."""
    if not isinstance(url, str) or len(url) > 2048 or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None and not parts.fragment and is_safe(url)
    except ValueError:
        return False


async def _exchange(http: httpx.AsyncClient, request: httpx.Request) -> Answer | Unavailable:
    response = await http.send(request, stream=True, auth=None, follow_redirects=False)
    try:
        if response.is_redirect:
            return Unavailable(f"{_shown(str(request.url))} redirects, which is not followed")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            return Unavailable(f"{_shown(str(request.url))} answered compressed, which was not asked for")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BYTES:
                return Unavailable(f"{_shown(str(request.url))} answered more than {MAX_BYTES} bytes")
    finally:
        await response.aclose()
    content = read_object(bytes(body))
    if content is None:
        return Unavailable(f"{_shown(str(request.url))} answered {response.status_code} and no JSON object")
    return Answer(response.status_code, content, response.headers)


def _shown(url: str) -> str:
    """Where to, in words: a query can hold what is nobody's business."""
    return "".join(mark for mark in url.partition("?")[0][:200] if mark.isprintable())
