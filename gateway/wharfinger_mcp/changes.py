"""Hearing from a server that what it lists has changed.

Modern servers are asked to tell (`subscriptions/listen`), legacy ones tell on the stream that a GET opens. Neither repeats what was
said before the stream was open, so its opening counts as a change. Source: specification 2026-07-28, subscriptions; 2025-11-25,
streamable HTTP, "Listening for Messages from the Server".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from wharfinger_mcp import jsonrpc
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.errors import ProtocolError, RefusedError, TimedOutError
from wharfinger_mcp.jsonrpc import Notification, Request
from wharfinger_mcp.notification import ACKNOWLEDGED, list_changed
from wharfinger_mcp.upstream import CallLimits, Upstream

KINDS: Final = ("tools", "resources")
"""What is listed here."""
STREAM_BYTES: Final = 16 * 1024 * 1024
_CHANGED: Final = frozenset(map(list_changed, KINDS))
_NO_STREAM: Final = frozenset({400, 404, 405, 406, 415, 501})
"""HTTP statuses of servers that have no stream to GET; 405 is the specification's."""


def announced(capabilities: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the kinds of which a server says that it tells when they change."""
    return tuple(kind for kind in KINDS if isinstance(found := capabilities.get(kind), dict) and found.get("listChanged") is True)


class _Ear:
    """Hears what is said on a stream."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self.is_open = False

    def open(self) -> None:
        self.is_open = True
        self._on_change()

    async def take(self, message: Request | Notification) -> None:
        if message.method == ACKNOWLEDGED:
            self.open()
        elif message.method in _CHANGED:
            self._on_change()


async def follow(upstream: Upstream, headers: Mapping[str, str], on_change: Callable[[], None], seconds: float) -> bool:
    """Call `on_change` when the stream is open and whenever a list has changed, until the server or `seconds` end the stream.

    Return False where the server has no such stream. Raises UpstreamError.
    """
    server = await upstream.open(headers)
    kinds = announced(server.capabilities)
    if not kinds:
        return False
    ear, limits = _Ear(on_change), CallLimits(seconds, STREAM_BYTES)
    try:
        if server.era is Era.MODERN:
            return await _listen(upstream, headers, limits, kinds, ear)
        return await _get(upstream, headers, limits, ear)
    except TimedOutError:
        if not ear.is_open:
            raise
        return True


async def _listen(upstream: Upstream, headers: Mapping[str, str], limits: CallLimits, kinds: tuple[str, ...], ear: _Ear) -> bool:
    wanted = {"notifications": jsonrpc.raw_json({f"{kind}ListChanged": True for kind in kinds})}
    response = await upstream.call("subscriptions/listen", wanted, headers, limits, ear.take)
    if response.error is not None and response.error.code != jsonrpc.METHOD_NOT_FOUND:
        raise ProtocolError(f"the server refused subscriptions/listen with error {response.error.code}")
    return response.error is None


async def _get(upstream: Upstream, headers: Mapping[str, str], limits: CallLimits, ear: _Ear) -> bool:
    try:
        await upstream.stream(headers, limits, ear.open, ear.take)
    except RefusedError as error:
        if error.status not in _NO_STREAM:
            raise
        return False
    return True
