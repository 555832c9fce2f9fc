"""A small MCP server whose answers a test decides, and which remembers what it was asked."""

import asyncio
import contextlib
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from wharfinger_mcp.endpoint import Endpoint, parse_endpoint

Http = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[Endpoint]]
"""The fixture `http`: starts a server and returns where it is."""

Reply = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]
"""Answers one message."""


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Http]:
    """Yield what starts an aiohttp server that answers everything at /mcp with a handler; all are stopped at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(handler: Handler) -> Endpoint:
            async def serve(request: web.Request) -> web.StreamResponse:
                return await handler(request)

            app = web.Application(client_max_size=32 * 1024 * 1024)
            app.router.add_route("*", "/mcp", serve)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, host, 0, ssl_context=tls).start()
            return parse_endpoint(f"{'https' if tls else 'http'}://{host}:{runner.addresses[0][1]}/mcp")

        yield start


def result(message: dict[str, Any], value: object, **more: Any) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": value}, **more)


def error(message: dict[str, Any], code: int, text: str = "no", data: object = None, **more: Any) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": {"code": code, "message": text, "data": data}}, **more)


def always(status: int = 200, text: str = "", content_type: str = "text/html", **headers: str) -> Reply:
    async def reply(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return web.Response(
            status=status, text=text, content_type=content_type, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    return reply


@dataclass
class RecordingServer:
    """A legacy server with sessions, or a modern one, unless a reply of its own is set for a method."""

    modern: bool = False
    replies: dict[str, Reply] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    """Made so far; only the last one is known."""

    def count(self) -> Counter[str]:
        return Counter(message["method"] for message in self.messages)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        message = json.loads(await request.read() or json.dumps({"method": request.method, "id": 0}))
        self.messages.append(message)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        own = self.replies.get(message["method"]) or self.replies.get("*")
        if own is not None:
            return await own(request, message)
        return self.by_era(request, message)

    def by_era(self, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        """Answer as the server does where no reply of its own is set."""
        return self._modern(message) if self.modern else self._legacy(request, message)

    def _modern(self, message: dict[str, Any]) -> web.StreamResponse:
        if message["method"] == "server/discover":
            return result(message, {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
        if message["method"] == "initialize":
            return error(message, -32601, status=404)
        return result(message, {"called": message["method"]})

    def _legacy(self, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        method = message["method"]
        if method == "initialize":
            self.sessions.append(f"session-{len(self.sessions)}")
            value = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
            return result(message, value, headers={"Mcp-Session-Id": self.sessions[-1]})
        session = request.headers.get("Mcp-Session-Id")
        if session is None:
            return web.Response(status=400, text="Missing session ID")
        if session != self.sessions[-1]:
            return error({"id": None}, -32600, "Session not found", status=404)
        if method == "DELETE" or "id" not in message:
            return web.Response(status=202)
        return result(message, {"called": method})


async def hang_up(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    """Die amid a call."""
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(0)
    return web.Response()


def streamed(*pieces: str | dict[str, Any], end: bool = True) -> Reply:
    """Answer with events; a dict is a message, given the request's id where its own is `...`."""

    async def reply(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write((_event(piece, message["id"]) if isinstance(piece, dict) else piece).encode())
        if not end:
            await asyncio.Event().wait()
        return response

    return reply


def _event(message: dict[str, Any], request_id: object) -> str:
    own = {name: request_id if value is ... else value for name, value in message.items()}
    return f"event: message\ndata: {json.dumps(own)}\n\n"
