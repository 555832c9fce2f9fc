"""A running gateway with short bounds before a server, and clients of it over real connections."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from asking_scene import ABLE
from gateway_bounded import bounded
from gateway_caller import META, MODERN
from gateway_process import GatewayProcess
from gateway_upstream import UpstreamServer
from gateway_world import Manifest, gateway, installation, pinned, tool

PATH = "/v1/mcp/dev.tools"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


def world(server: UpstreamServer) -> list[Manifest]:
    """Return a gateway in front of the server."""
    tools = [tool("ask"), tool("echo"), tool("wait")]
    selected = pinned("bot", prompts=["*"], resources=["*"])
    return [*installation("bot", team="engineering", url=server.url, tools=tools), gateway("tools", selected)]


def modern_fields(method: str) -> dict[str, str]:
    """Return what a modern client says of a request in its head."""
    return {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}


@dataclass
class Client:
    """One client of a caller."""

    http: aiohttp.ClientSession
    url: str
    token: str
    open: list[aiohttp.ClientResponse]
    """Streams, until the end."""
    session: dict[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, str]:
        """Return what is in the head of each request."""
        accepted = "application/json, text/event-stream"
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "Accept": accepted, **self.session}

    async def send(self, method: str, params: Any = None, **fields: str) -> tuple[int, Any]:
        """Send a request; return the status and the last message of the answer."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}})
        async with self.http.post(f"{self.url}{PATH}", data=body, headers=self.fields | fields) as response:
            text = await response.text()
            return response.status, json.loads(text.rpartition("data: ")[2])

    async def initialize(self) -> None:
        """Begin a session in which the client can be asked, so that it cannot go on without what is kept of it."""
        body = json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": ABLE}}
        )
        async with self.http.post(f"{self.url}{PATH}", data=body, headers=self.fields) as response:
            assert response.status == 200
            self.session = {"Mcp-Session-Id": response.headers["Mcp-Session-Id"]}

    async def call(self, name: str) -> tuple[int, Any]:
        """Call a tool in the session."""
        return await self.send("tools/call", {"name": name, "arguments": {}})

    async def modern(self, method: str, params: Any, capabilities: Any = None) -> tuple[int, Any]:
        """Send a request as a modern client."""
        named = {"Mcp-Name": params["name"]} if "name" in params else {}
        return await self.send(method, {"_meta": META | {CAPABILITIES: capabilities or {}}} | params, **modern_fields(method), **named)

    async def ask(self, **more: Any) -> Any:
        """Call the tool that asks, as a modern client that can be asked."""
        return (await self.modern("tools/call", {"name": "bot__ask", "arguments": {}} | more, ABLE))[1]["result"]

    async def listen(self, *uris: str) -> aiohttp.ClientResponse:
        """Open a modern client's stream, to be told of these resources."""
        fields = self.fields | modern_fields("subscriptions/listen")
        params = {"_meta": META, "notifications": {"resourceSubscriptions": uris}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params})
        self.open.append(await self.http.post(f"{self.url}{PATH}", data=body, headers=fields))
        return self.open[-1]

    async def stream(self, path: str = PATH) -> aiohttp.ClientResponse:
        """Open a stream."""
        self.open.append(await self.http.get(f"{self.url}{path}", headers=self.fields))
        return self.open[-1]


@dataclass
class Scene:
    """A running gateway, and who is before it."""

    process: GatewayProcess
    http: aiohttp.ClientSession
    open: list[aiohttp.ClientResponse] = field(default_factory=list)

    def client(self, token: str) -> Client:
        """Return a client without a session."""
        return Client(self.http, self.process.url, token, self.open)

    async def clients(self, token: str, count: int) -> list[Client]:
        """Return clients of one caller with a session each."""
        made = [self.client(token) for _ in range(count)]
        for one in made:
            await one.initialize()
        return made


@asynccontextmanager
async def scene(folder: Path, server: UpstreamServer, bounds: Mapping[str, float]) -> AsyncIterator[Scene]:
    """Run a gateway with these bounds, by module and name."""
    async with (
        bounded(folder / "manifests", world(server), bounds) as process,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(20)) as http,
    ):
        running = Scene(process, http)
        yield running
        for one in running.open:
            one.close()
