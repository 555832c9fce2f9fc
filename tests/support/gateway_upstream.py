"""A small MCP server on an address of this machine that environments can open, of either era, that remembers every HTTP request it got."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from own_address import ADDRESS
from wharfinger_mcp.listing import MEMBERS

MODERN = "2026-07-28"
PROGRESS = "the-token"
Json = dict[str, Any]
EraName = Literal["legacy", "modern"]


@dataclass(frozen=True)
class Recorded:
    """One HTTP request."""

    verb: str
    headers: list[tuple[str, str]]
    message: Json

    @property
    def method(self) -> str:
        """The JSON-RPC method."""
        return str(self.message.get("method", ""))

    def header(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class UpstreamServer:
    """What was asked, and how tools behave: `behaviour` maps a tool's name or a resource's URI to its result, a JSON-RPC error, or an HTTP status."""

    era: EraName
    url: str = ""
    requests: list[Recorded] = field(default_factory=list)
    behaviour: dict[str, Json | int] = field(default_factory=dict)
    says: dict[str, list[Json]] = field(default_factory=dict)
    """What is said ahead of a tool's result, as notifications; PROGRESS stands for the progress token that was given."""
    lists: dict[str, list[Json]] = field(default_factory=dict)
    """Prompts, resources and templates, by the method that lists them; each page has two."""
    logs: bool = False
    """It says that it logs."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Calls of the tool `wait` are answered once it is set."""
    _sessions: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def calls(self) -> list[Recorded]:
        """Return the tools/call requests."""
        return [one for one in self.requests if one.method == "tools/call"]

    def knows(self, request: web.Request) -> bool:
        """Whether a request is of a session that there is, where there are sessions."""
        return self.era == "modern" or request.headers.get("Mcp-Session-Id") in self._sessions

    def forget_sessions(self) -> None:
        """Behave as after a restart."""
        self._sessions.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        body = await request.read()
        message = json.loads(body) if body else {}
        self.remember(request, message)
        if request.method == "DELETE":
            self._sessions.discard(request.headers.get("Mcp-Session-Id", ""))
            return web.Response(status=204)
        if "id" not in message:
            return web.Response(status=202)
        answer = await (self._modern(message) if self.era == "modern" else self._legacy(request, message))
        said = self.says.get(message.get("params", {}).get("name", ""))
        return answer if said is None else await self._streamed(request, message, said, answer)

    async def _streamed(self, request: web.Request, message: Json, said: list[Json], answer: web.Response) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        token = message["params"].get("_meta", {}).get("progressToken")
        for one in said:
            text = json.dumps({"jsonrpc": "2.0"} | one, indent=1).replace(f'"{PROGRESS}"', json.dumps(token))
            await stream.write(b"".join(b"data: " + line.encode() + b"\n" for line in text.splitlines()) + b"\n")
        await self.gate.wait()
        await stream.write(b"data: " + (answer.body or b"") + b"\n\n")  # type: ignore[operator]  # bytes, as `_result` made it
        return stream

    def remember(self, request: web.Request, message: Json) -> None:
        """Remember a request, whoever answers it."""
        self.requests.append(Recorded(request.method, list(request.headers.items()), message))

    @property
    def capabilities(self) -> Json:
        """What it declares."""
        return {"tools": {}} | ({"logging": {}} if self.logs else {}) | {method.partition("/")[0]: {} for method in self.lists}

    async def _modern(self, message: Json) -> web.Response:
        if message["method"] == "server/discover":
            return _result(message, {"resultType": "complete", "supportedVersions": [MODERN], "capabilities": self.capabilities})
        return await self._call(message, {"resultType": "complete"})

    async def _legacy(self, request: web.Request, message: Json) -> web.Response:
        if message["method"] == "initialize":
            session = f"session-{next(self._numbers)}"
            self._sessions.add(session)
            info = {"name": "upstream", "version": "1"}
            result = {"protocolVersion": "2025-11-25", "capabilities": self.capabilities, "serverInfo": info}
            return _result(message, result, {"Mcp-Session-Id": session})
        if message["method"] == "server/discover":
            error = {"code": -32601, "message": "no such method"}
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error}, status=400)
        if request.headers.get("Mcp-Session-Id") not in self._sessions:
            return web.Response(status=404)
        return _result(message, {}) if message["method"] == "logging/setLevel" else await self._call(message, {})

    async def _call(self, message: Json, more: Json) -> web.Response:
        if message["method"] in self.lists:
            return self._page(message, more)
        params = message["params"]
        name = params.get("name") or params.get("uri") or params["ref"].get("name") or params["ref"]["uri"]
        if name == "wait":
            await self.gate.wait()
        behaviour = self.behaviour.get(name, {})
        if isinstance(behaviour, int):
            return web.Response(status=behaviour)
        if "code" in behaviour:
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": behaviour})
        text = json.dumps(message["params"].get("arguments"))
        content = {"content": [{"type": "text", "text": text}]} if message["method"] == "tools/call" else {}
        return _result(message, content | more | behaviour)

    def _page(self, message: Json, more: Json) -> web.Response:
        at = int(message["params"].get("cursor", "0"))
        items = self.lists[message["method"]]
        following = {"nextCursor": str(at + 2)} if at + 2 < len(items) else {}
        return _result(message, {MEMBERS[message["method"]]: items[at : at + 2]} | following | more)


def _result(message: Json, result: Json, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result}, headers=headers)


@contextlib.asynccontextmanager
async def upstream_server(era: EraName = "legacy") -> AsyncIterator[UpstreamServer]:
    """Run a server on a free port."""
    server = UpstreamServer(era)
    async with running_server(server):
        yield server


@contextlib.asynccontextmanager
async def running_server(server: UpstreamServer, port: int = 0) -> AsyncIterator[None]:
    """Run this server on a port, or a free one."""
    application = web.Application()
    application.router.add_route("*", "/mcp", server.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, ADDRESS, port)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/mcp"
    try:
        yield
    finally:
        server.gate.set()
        await runner.cleanup()
