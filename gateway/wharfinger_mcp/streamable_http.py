"""Streamable HTTP as a transport: each message in a request of its own, whatever the era."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress

from wharfinger_mcp import exchange
from wharfinger_mcp.endpoint import Endpoint
from wharfinger_mcp.errors import UpstreamError
from wharfinger_mcp.exchange import Bounds, Listener, OnMessage, Outcome, Outgoing
from wharfinger_mcp.http_client import HttpClient


class StreamableHttp:
    """See `exchange.Transport`; it holds no connection of its own."""

    is_open = True
    is_session = False

    def __init__(self, client: HttpClient, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint

    def post(self, outgoing: Outgoing, bounds: Bounds, on_message: OnMessage | None = None) -> Awaitable[Outcome]:
        """Send a message and return the outcome."""
        return exchange.post(self._client, self._endpoint, outgoing, bounds, on_message)

    def stream(self, outgoing: Outgoing, bounds: Bounds, listener: Listener) -> Awaitable[None]:
        """Follow the stream that a GET opens, until it ends."""
        return exchange.stream(self._client, self._endpoint, outgoing, bounds, listener)

    async def end(self, outgoing: Outgoing, bounds: Bounds) -> None:
        """Tell the server that the session is over."""
        with suppress(UpstreamError):
            await exchange.delete(self._client, self._endpoint, outgoing, bounds)

    def drop(self) -> None:
        """There is nothing to let go of."""
