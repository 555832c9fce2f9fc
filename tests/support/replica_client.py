"""Three replicas of the gateway as processes, and a client each of whose requests goes to the one that it names."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from free_port import free_port
from gateway_caller import META, MODERN, Json
from gateway_process import GatewayProcess, gateway_process
from gateway_world import ALICE, dump, gateway, installation, pinned, tool

OFFLINE = str(Path(__file__).parent / "gateway_offline.py")
PATH = "/v1/mcp/dev.tools"
ABLE: Json = {"elicitation": {}}
ANSWER = {"action": "accept", "content": {"name": "Ann"}}


@dataclass
class ReplicaClient:
    """One client; each request goes to the replica that it names."""

    replicas: list[GatewayProcess]
    http: aiohttp.ClientSession
    headers: dict[str, str] = field(
        default_factory=lambda: {"Authorization": f"Bearer {ALICE}", "Accept": "application/json, text/event-stream"}
    )

    @asynccontextmanager
    async def sent(self, replica: int, message: Any = None, path: str = PATH, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
        body = None if message is None else json.dumps(message)
        fields = (
            self.headers | ({"Content-Type": "application/json"} if body else {}) | {k.replace("_", "-"): v for k, v in headers.items()}
        )
        verb = "GET" if message is None else "POST"
        async with self.http.request(verb, f"{self.replicas[replica].url}{path}", data=body, headers=fields) as response:
            yield response

    async def said(self, replica: int, message: Any, path: str = PATH, **headers: str) -> tuple[int, Any]:
        async with self.sent(replica, message, path, **headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith("{") else text

    async def initialize(self, replica: int, capabilities: Json) -> None:
        params = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "t", "version": "1"}}
        async with self.sent(replica, {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}) as response:
            self.headers["Mcp-Session-Id"] = response.headers["Mcp-Session-Id"]

    async def modern(self, replica: int, id_: int, **more: Any) -> Json:
        meta = META | {"io.modelcontextprotocol/clientCapabilities": ABLE}
        message = call("bot__ask", id_)
        message["params"] |= {"_meta": meta} | more
        status, found = await self.said(replica, message, MCP_Protocol_Version=MODERN, Mcp_Method="tools/call", Mcp_Name="bot__ask")
        assert status == 200, found
        return dict(found["result"])


def call(name: str, id_: object) -> Json:
    return {"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": {"name": name, "arguments": {}}}


async def event(response: aiohttp.ClientResponse, member: str) -> Json:
    """Return the next message on a stream that has this member."""
    while True:
        block = (await asyncio.wait_for(response.content.readuntil(b"\n\n"), 10)).decode()
        assert block, "the stream has ended"
        data = "".join(line.removeprefix("data: ") for line in block.splitlines() if line.startswith("data: "))
        if data.startswith("{") and member in json.loads(data):
            return dict(json.loads(data))


def manifests(folder: Path, url: str) -> Path:
    """Write the manifests of a gateway in front of this server, with the tools `echo`, `ask` and `wait`, and return their file."""
    path = folder / "manifests"
    tools = [tool("echo"), tool("ask"), tool("wait")]
    path.write_text(dump([*installation("bot", team="engineering", url=url, tools=tools), gateway("tools", pinned("bot"))]))
    return path


async def replica(stack: AsyncExitStack, path: Path, drain_seconds: int = 30) -> GatewayProcess:
    """Start one more replica and return it once it is ready."""
    address = f"127.0.0.1:{free_port()}"
    variables = {"WHARFINGER_LISTEN": address, "WHARFINGER_REPLICA_ADDRESS": address, "WHARFINGER_DRAIN_SECONDS": str(drain_seconds)}
    started = await stack.enter_async_context(gateway_process([OFFLINE, str(path)], variables))
    await started.ready()
    return started


@asynccontextmanager
async def three_replicas(folder: Path, url: str) -> AsyncIterator[ReplicaClient]:
    """Give a client of three replicas in front of this server."""
    path = manifests(folder, url)
    async with AsyncExitStack() as stack:
        replicas = list(await asyncio.gather(*(replica(stack, path) for _ in range(3))))
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)))
        yield ReplicaClient(replicas, http)
