"""An MCP server of either era whose resources change."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web

from gateway_upstream import EraName, Json, UpstreamServer, running_server

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


@dataclass
class WatchedServer(UpstreamServer):
    """It tells of the resources that it was asked to tell of."""

    lists: dict[str, list[Json]] = field(
        default_factory=lambda: {"resources/list": [{"uri": f"a://{n}", "name": str(n)} for n in range(3)]}
    )
    watched: set[str] = field(default_factory=set)
    streams: dict[web.StreamResponse, object] = field(default_factory=dict)
    refuses: bool = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        message = json.loads(await request.text() or "{}")
        method = message.get("method")
        if request.method == "GET" and self.era == "legacy":
            return await self._stream(request, None)
        if method == "subscriptions/listen":
            self.remember(request, message)
            self.watched = set(message["params"]["notifications"]["resourceSubscriptions"])
            return await self._stream(request, message["id"])
        if method in ("resources/subscribe", "resources/unsubscribe"):
            self.remember(request, message)
            if self.refuses:
                return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}})
            (self.watched.add if method.endswith("/subscribe") else self.watched.discard)(message["params"]["uri"])
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": {}})
        return await super().handle(request)

    async def changed(self, uri: str) -> None:
        """Tell of a change, whoever asked for it or not."""
        for stream, subscription in tuple(self.streams.items()):
            meta = {"_meta": {SUBSCRIPTION: subscription}} if subscription is not None else {}
            await _say(stream, "notifications/resources/updated", {"uri": uri} | meta)

    async def _stream(self, request: web.Request, subscription: object) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b":\n\n")
        if subscription is not None:
            told = {"notifications": {"resourceSubscriptions": sorted(self.watched)}, "_meta": {SUBSCRIPTION: subscription}}
            await _say(stream, "notifications/subscriptions/acknowledged", told)
        self.streams[stream] = subscription
        try:
            await self.gate.wait()
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
