"""The HTTP server's edge: requests to ours, and our replies back. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from wharfinger_crds import names
from wharfinger_gateway import oauth_edge
from wharfinger_gateway.channel import HttpChannel
from wharfinger_gateway.connection_bounds import Ended
from wharfinger_gateway.http_answer import TEXT
from wharfinger_gateway.http_exchange import Exchange
from wharfinger_gateway.http_server import HttpServer
from wharfinger_gateway.incoming import Incoming, Reply

_CALLS: Final = f"{names.ENDPOINT_PREFIX}/"
Serve = Callable[[Incoming], Awaitable[Reply]]


def mcp_server(serve: Serve, ended: Callable[[Ended], None] = lambda _: None, aside: oauth_edge.Answer | None = None) -> HttpServer:
    """Return the server for MCP clients: calls are served with `serve`, and with `aside` what is below no gateway's path."""

    async def handle(exchange: Exchange) -> None:
        head = exchange.head
        if aside is not None and not head.path.startswith(_CALLS):
            await oauth_edge.answer(exchange, aside)
            return
        channel = HttpChannel(exchange)
        try:
            await channel.end(await serve(Incoming(head.verb, head.path, head.fields, exchange.read, channel, head.query, head)))
        finally:
            channel.close()

    return HttpServer(handle, ended=ended)


def probe_server(ready: Callable[[], bool], registry: CollectorRegistry) -> HttpServer:
    """Return the server for the kubelet and for Prometheus."""

    async def handle(exchange: Exchange) -> None:
        match exchange.head.path:
            case "/livez":
                exchange.answer(200, TEXT, b"ok")
            case "/readyz":
                exchange.answer(*((200, TEXT, b"ok") if ready() else (503, TEXT, b"not ready")))
            case "/metrics":
                exchange.answer(200, {"Content-Type": CONTENT_TYPE_LATEST}, generate_latest(registry))
            case _:
                exchange.answer(404, TEXT, b"not found")

    return HttpServer(handle)
