"""Streamable HTTP as a transport: each message in a request of its own, whatever the era.

A legacy server may end the stream of an answer before the answer, and have us come back for it: source 2025-11-25, transports,
"Resumability and Redelivery".
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final

import msgspec

from wharfinger_mcp import exchange, header
from wharfinger_mcp.endpoint import Endpoint
from wharfinger_mcp.errors import CutStreamError, TimedOutError, UpstreamError
from wharfinger_mcp.exchange import Bounds, Listener, OnMessage, Outcome, Outgoing
from wharfinger_mcp.http_client import HttpClient

MAX_RETURNS: Final = 32
"""To one answer: a server that ends its streams for ever is given up."""
RETRY_MS: Final = 1000
"""Where the server does not say how long it wants to be left alone."""
MIN_RETRY_MS: Final = 100
MAX_RETRY_MS: Final = 30_000


class StreamableHttp:
    """See `exchange.Transport`; it holds no connection of its own."""

    is_open = True
    is_session = False

    def __init__(self, client: HttpClient, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint

    async def post(self, outgoing: Outgoing, bounds: Bounds, on_message: OnMessage | None = None) -> Outcome:
        """Send a message and return the outcome, coming back for it where the server wants that."""
        try:
            return await exchange.post(self._client, self._endpoint, outgoing, bounds, on_message)
        except CutStreamError as cut:
            # Modern messages, which repeat their method in a header, have streams that cannot be taken up again.
            if header.METHOD in outgoing.own:
                raise
            return await self._come_back(cut, outgoing, bounds, on_message)

    async def _come_back(self, cut: CutStreamError, outgoing: Outgoing, bounds: Bounds, on_message: OnMessage | None) -> Outcome:
        for _ in range(MAX_RETURNS):
            await _wait(cut.retry_ms, bounds.deadline)
            own = {**outgoing.own, header.LAST_EVENT_ID: cut.event_id}
            try:
                response = await exchange.take_up(
                    self._client, self._endpoint, msgspec.structs.replace(outgoing, own=own), bounds, on_message
                )
            except CutStreamError as again:
                cut = again
            else:
                return Outcome(200, response, None, None)
        raise cut

    def stream(self, outgoing: Outgoing, bounds: Bounds, listener: Listener) -> Awaitable[None]:
        """Follow the stream that a GET opens, until it ends."""
        return exchange.stream(self._client, self._endpoint, outgoing, bounds, listener)

    async def end(self, outgoing: Outgoing, bounds: Bounds) -> None:
        """Tell the server that the session is over."""
        with suppress(UpstreamError):
            await exchange.delete(self._client, self._endpoint, outgoing, bounds)

    def drop(self) -> None:
        """There is nothing to let go of."""


async def _wait(retry_ms: int | None, deadline: float) -> None:
    """Wait as long as the server wants, and a little, so that not everybody comes back at once; raises TimedOutError."""
    milliseconds = min(max(RETRY_MS if retry_ms is None else retry_ms, MIN_RETRY_MS), MAX_RETRY_MS)
    seconds = milliseconds / 1000 * random.uniform(1.0, 1.2)  # noqa: S311 - spreads load, guards nothing
    if asyncio.get_running_loop().time() + seconds >= deadline:
        raise TimedOutError("the server ended its stream without the response, and did not want us back in time")
    await asyncio.sleep(seconds)
