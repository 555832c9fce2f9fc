"""Every page of a list.

Source: specification 2026-07-28, server/utilities/pagination. A cursor is opaque, an empty one is a cursor too; only an
absent or null one ends the list. A server that never ends it is stopped by the bounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Raw

from wharfinger_mcp import jsonrpc
from wharfinger_mcp.errors import NotListedError, ProtocolError, TimedOutError, TooLargeError
from wharfinger_mcp.jsonrpc import Params, Response
from wharfinger_mcp.upstream import CallLimits, Upstream

MEMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tools/list": "tools",
        "prompts/list": "prompts",
        "resources/list": "resources",
        "resources/templates/list": "resourceTemplates",
    }
)
"""Methods that list, and the member of their result that holds the items."""

_PAGE_OVERHEAD: Final = 64 * 1024


@dataclass(frozen=True)
class ListLimits:
    """Bounds of one list, all its pages together."""

    items: int = 2000
    bytes: int = 4 * 1024 * 1024
    pages: int = 500
    seconds: float = 60.0


_cursor = msgspec.json.Decoder(str | None)
_items = msgspec.json.Decoder(list[Raw])


async def list_all(upstream: Upstream, method: str, headers: Mapping[str, str], limits: ListLimits | None = None) -> tuple[Raw, ...]:
    """Return the items of every page, each as the server wrote it, in its order.

    Raises UpstreamError; ProtocolError also where the server refuses to list or goes beyond a bound.
    """
    limits = limits or ListLimits()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limits.seconds
    items: list[Raw] = []
    seen: set[str] = set()
    params: Params = {}
    size = 0
    for _ in range(limits.pages):
        seconds = deadline - loop.time()
        if seconds <= 0:
            raise TimedOutError(f"{method} did not end in time")
        response = await upstream.call(method, params, headers, CallLimits(seconds, limits.bytes - size + _PAGE_OVERHEAD))
        found, cursor = _read(response, method)
        items += found
        size += sum(len(bytes(item)) for item in found)
        if len(items) > limits.items or size > limits.bytes:
            raise TooLargeError(f"{method} has more than {limits.items} items or {limits.bytes} bytes")
        if cursor is None:
            return tuple(items)
        if cursor in seen:
            raise ProtocolError(f"{method} gave the same cursor twice: its pages never end")
        seen.add(cursor)
        params = {"cursor": jsonrpc.raw_json(cursor)}
    raise TooLargeError(f"{method} has more than {limits.pages} pages")


def _read(response: Response, method: str) -> tuple[list[Raw], str | None]:
    if response.error is not None:
        raise NotListedError(method, response.error.code)
    members = response.result or {}
    try:
        return _items.decode(members.get(MEMBERS[method], b"null")), _cursor.decode(members.get("nextCursor", b"null"))
    except (msgspec.DecodeError, RecursionError):
        raise ProtocolError(f"the result of {method} has another shape than the specification's") from None
