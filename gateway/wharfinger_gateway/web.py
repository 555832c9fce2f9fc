"""The HTTP server's edge: aiohttp's requests to ours, and our replies back. Nothing is decided here but how long a body may take.

aiohttp's low-level server is used, without router and middlewares: there is one endpoint, and each layer costs time at every call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import StreamReader, web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from wharfinger_crds import names
from wharfinger_gateway import oauth_edge
from wharfinger_gateway.channel import HttpChannel, Leaving
from wharfinger_gateway.connection_bounds import BoundedServer, Ended
from wharfinger_gateway.incoming import Incoming, ReadBody, Reply
from wharfinger_gateway.refusals import Reason, Refusal

BODY_SECONDS: Final = 30.0
KEEPALIVE_SECONDS: Final = 75.0
"""More than the 60 s after which common load balancers let go of an idle connection, so that it is they who close it."""

# aiohttp logs every malformed request with a traceback that quotes it, Authorization included; what fails in our own code is logged
# where it is caught.
_silent = logging.getLogger(f"{__name__}.silent")
_silent.disabled = True

_CALLS: Final = f"{names.ENDPOINT_PREFIX}/"
Serve = Callable[[Incoming], Awaitable[Reply]]


class McpServer(BoundedServer):
    """The server for MCP clients: it tells who leaves before the reply."""

    def __init__(self, serve: Serve, ended: Callable[[Ended], None] = lambda _: None, aside: oauth_edge.Answer | None = None) -> None:
        """Serve calls with `serve`, and with `aside` what is below no gateway's path."""
        options: dict[str, Any] = {"access_log": None, "auto_decompress": False, "keepalive_timeout": KEEPALIVE_SECONDS, "logger": _silent}
        super().__init__(self._handle, ended=ended, **options)
        self._serve = serve
        self._aside = aside
        self._leaving: Leaving = {}
        self._ends_at: float | None = None

    def end_within(self, seconds: float) -> None:
        """From now on let no connection outlive its answer; what is under way has so many seconds."""
        self._ends_at = asyncio.get_running_loop().time() + seconds

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's
        """Wait for what is under way, as long as there is time left."""
        if self._ends_at is not None:
            # aiohttp waits for its connections twice in a row, as long each time.
            timeout = max(0.0, self._ends_at - asyncio.get_running_loop().time()) / 2
        await super().shutdown(timeout)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Take note of a connection that is gone."""
        leaving = self._leaving.pop(handler, {})
        super().connection_lost(handler, exc)
        for leave in tuple(leaving.values()):
            leave()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if self._aside is not None and not path.startswith(_CALLS):
            return await oauth_edge.answered(request, _reader(request), self._aside)
        channel = HttpChannel(request, self._leaving)
        try:
            incoming = Incoming(request.method, path, request.headers, _reader(request), channel, query=query)
            response = await channel.end(await self._serve(incoming))
            if self._ends_at is not None and not response.prepared:
                response.force_close()
            return response
        finally:
            channel.close()


def probe_server(ready: Callable[[], bool], registry: CollectorRegistry) -> web.Server:
    """Return the server for the kubelet and for Prometheus."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        match request.path:
            case "/livez":
                return web.Response(text="ok")
            case "/readyz":
                return web.Response(text="ok") if ready() else web.Response(status=503, text="not ready")
            case "/metrics":
                return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
            case _:
                return web.Response(status=404, text="not found")

    return web.Server(handle, access_log=None, logger=_silent)


def _reader(request: web.BaseRequest) -> ReadBody:
    async def read(limit: int) -> bytes | Refusal:
        content = request.content
        try:
            if content.is_eof():
                # It came with the head, as small ones do.
                body = content.read_nowait(-1)
                return body if len(body) <= limit else Refusal(Reason.TOO_LARGE)
            async with asyncio.timeout(BODY_SECONDS):
                return await _bounded(content, limit)
        except (TimeoutError, web.PayloadAccessError, ConnectionError):
            return Refusal(Reason.BODY_INCOMPLETE)

    return read


async def _bounded(content: StreamReader, limit: int) -> bytes | Refusal:
    pieces, size = [], 0
    async for piece in content.iter_any():
        size += len(piece)
        if size > limit:
            return Refusal(Reason.TOO_LARGE)
        pieces.append(piece)
    return b"".join(pieces)
