"""An MCP server of either era whose resources change, and its lists."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web

from eventually import eventually
from gateway_upstream import EraName, Json, UpstreamServer, running_server

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


@dataclass
class WatchedServer(UpstreamServer):
    """It tells of the resources that it was asked to tell of."""

    lists: dict[str, list[Json]] = field(
        default_factory=lambda: {
            "resources/list": [{"uri": f"a://{n}", "name": str(n)} for n in range(3)],
            "prompts/list": [{"name": f"p{n}"} for n in range(2)],
        }
    )
    announces: bool = True
    """It says that it tells when its lists change."""
    granted: Json = field(default_factory=dict)
    """What its last subscription asked for."""
    watched: set[str] = field(default_factory=set)
    streams: dict[web.StreamResponse, object] = field(default_factory=dict)
    transports: list[asyncio.Transport] = field(default_factory=list)
    """Of the streams."""
    is_away: bool = False
    """It breaks every connection off."""
    refuses: bool = False
    takes_up: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, what a subscription asks for is not taken up."""

    def __post_init__(self) -> None:
        """Take up everything."""
        self.takes_up.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        message = json.loads(await request.text() or "{}")
        method = message.get("method")
        if self.is_away:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if request.method == "GET" and self.era == "legacy":
            if not self.knows(request):
                return web.Response(status=404)
            return await self._stream(request, None)
        if method == "subscriptions/listen":
            self.remember(request, message)
            self.granted = message["params"]["notifications"]
            self.watched = set(self.granted.get("resourceSubscriptions", ()))
            return await self._stream(request, message["id"])
        if method in ("resources/subscribe", "resources/unsubscribe"):
            self.remember(request, message)
            if not self.knows(request):
                return web.Response(status=404)
            if self.refuses:
                return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}})
            (self.watched.add if method.endswith("/subscribe") else self.watched.discard)(message["params"]["uri"])
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": {}})
        return await super().handle(request)

    @property
    def capabilities(self) -> Json:
        """What it declares."""
        return {kind: {"listChanged": True} if self.announces else {} for kind in ("tools", "prompts", "resources")}

    def lose_everything(self) -> None:
        """Behave as after a restart: no stream, no session, no subscription."""
        self.forget_sessions()
        self.watched.clear()
        for transport in self.transports:
            transport.abort()
        self.transports.clear()

    async def list_changed(self, kind: str) -> None:
        """Tell that a list has changed."""
        for stream, subscription in tuple(self.streams.items()):
            meta = {"_meta": {SUBSCRIPTION: subscription}} if subscription is not None else {}
            await _say(stream, f"notifications/{kind}/list_changed", meta)

    async def changed(self, uri: str) -> None:
        """Tell of a change, whoever asked for it or not."""
        for stream, subscription in tuple(self.streams.items()):
            meta = {"_meta": {SUBSCRIPTION: subscription}} if subscription is not None else {}
            await _say(stream, "notifications/resources/updated", {"uri": uri} | meta)

    async def _stream(self, request: web.Request, subscription: object) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        assert request.transport is not None
        await self.takes_up.wait()
        self.transports.append(request.transport)
        await stream.write(b":\n\n")
        if subscription is not None:
            told = {"notifications": self.granted, "_meta": {SUBSCRIPTION: subscription}}
            await _say(stream, "notifications/subscriptions/acknowledged", told)
        self.streams[stream] = subscription
        try:
            await eventually(lambda: self.gate.is_set() or request.transport is None or request.transport.is_closing(), 600)
        finally:
            del self.streams[stream]
        return stream


async def _say(stream: web.StreamResponse, method: str, params: Json) -> None:
    with contextlib.suppress(ConnectionError):
        await stream.write(b"data: " + json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode() + b"\n\n")


@contextlib.asynccontextmanager
async def watched_server(era: EraName) -> AsyncIterator[WatchedServer]:
    """Run one on a free port."""
    server = WatchedServer(era)
    async with running_server(server):
        yield server
