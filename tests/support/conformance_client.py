"""The gateway as the client of the conformance suite's server.

The suite's server becomes the upstream of a gateway of its own, asked for its tools as the operator asks; then a client of the official SDK
comes to that gateway, in the era of the revision that is tried, and uses everything that it is offered.
"""

import asyncio
import contextlib
import json
import sys
import traceback
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from aiohttp import web
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult, TextContent, Tool

from conformance_suite import CALL_TIMEOUT, run_client_scenario
from gateway_served import start
from gateway_world import ALICE, gateway, installation, pinned
from node_tools import NodeTools
from own_address import ADDRESS
from wharfinger_gateway.http_server import HttpServer
from wharfinger_gateway.web import mcp_server
from wharfinger_mcp.discovery import discover
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.envelope import Identity
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.upstream import Upstream

Scenario = tuple[str, str]
"""A revision, and a scenario of the suite."""

AT_ONCE = 4
HOOK = Path(__file__).with_name("conformance_hook.py")
MODERN = "2026-07-28"
_MADE_UP = {"number": 5, "integer": 5, "boolean": True, "array": [], "object": {}, "null": None}


async def run_all(tools: NodeTools, scenarios: Iterable[Scenario], home: Path) -> Mapping[Scenario, tuple[str, ...]]:
    """Return what failed of each scenario, several at once."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(revision: str, scenario: str) -> tuple[str, ...]:
        async with slots:
            return await asyncio.to_thread(run_client_scenario, tools, command, scenario, revision, home / f"{revision}-{scenario}")

    async with client_command() as command:
        wanted = tuple(scenarios)
        return dict(zip(wanted, await asyncio.gather(*(run(*one) for one in wanted)), strict=True))


@asynccontextmanager
async def client_command() -> AsyncIterator[str]:
    """Give the command by which the suite starts a client."""

    async def be_client(request: web.BaseRequest) -> web.StreamResponse:
        told = json.loads(await request.read())
        try:
            return web.Response(text="\n".join(await _use_through_gateway(**told)))
        except Exception:  # noqa: BLE001 - the suite shows it
            return web.Response(status=500, text=traceback.format_exc())

    async with _asked(web.Server(be_client, access_log=None, handler_cancellation=True)) as port:
        yield f"{sys.executable} -S -E {HOOK} {port}"


async def _use_through_gateway(url: str, revision: str, context: dict[str, Any]) -> list[str]:
    """Use the server at a URL, and return what was seen."""
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(_gateway_to(await stack.enter_async_context(_reachable(url))))
        http = await stack.enter_async_context(httpx2.AsyncClient(headers={"Authorization": f"Bearer {ALICE}"}, timeout=60))
        mode: Any = MODERN if revision == MODERN else "legacy"
        callbacks: dict[str, Any] = {"elicitation_callback": _elicit, "sampling_callback": _sample, "list_roots_callback": _list_roots}
        client = await stack.enter_async_context(Client(streamable_http_client(endpoint, http_client=http), mode=mode, **callbacks))
        return [line async for line in _use(client, context.get("toolCalls", ()))]


@asynccontextmanager
async def _reachable(url: str) -> AsyncIterator[str]:
    """Give a URL of this machine's own address for one of the loopback interface, which no egress rule opens."""
    parts = urlsplit(url)

    connections: set[asyncio.Task[None]] = set()

    async def carry(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()

    async def relay(reader: StreamReader, writer: StreamWriter) -> None:
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(carry(reader, back), carry(there, writer))

    def accept(reader: StreamReader, writer: StreamWriter) -> None:
        connection = asyncio.create_task(relay(reader, writer))
        connections.add(connection)
        connection.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, ADDRESS, 0)
    try:
        yield f"http://{ADDRESS}:{server.sockets[0].getsockname()[1]}{parts.path}"
    finally:
        server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


@asynccontextmanager
async def _gateway_to(url: str) -> AsyncIterator[str]:
    client = HttpClient()
    try:
        found = await discover(Upstream(client, parse_endpoint(url), Identity("conformance", "1")), {})
    finally:
        await client.close()
    definitions = [json.loads(tool.definition) for tool in found.tools]
    installed = installation("t", team="engineering", url=url, transport="Auto", tools=definitions)
    served = start(installed, gateway("tools", pinned("t"), limits={"callTimeout": CALL_TIMEOUT}), loopback=True)
    try:
        async with _listening(mcp_server(served.pipeline.serve)) as port:
            yield f"http://127.0.0.1:{port}/v1/mcp/dev.tools"
    finally:
        await served.upstreams.close()


@asynccontextmanager
async def _asked(server: web.Server) -> AsyncIterator[int]:
    runner = web.ServerRunner(server, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _listening(server: HttpServer) -> AsyncIterator[int]:
    ((_, port),) = await server.listen("127.0.0.1", 0)
    try:
        yield port
    finally:
        await server.close(0.2)


async def _use(client: Client, told: list[dict[str, Any]]) -> AsyncIterator[str]:
    """Call every tool, or those that the suite says with what it says."""
    listed = (await client.list_tools()).tools
    for name, arguments in [(f"t__{one['name']}", one["arguments"]) for one in told] or _made_up(listed):
        try:
            yield f"{name}: {await client.call_tool(name, arguments)}"
        except MCPError as error:
            yield f"{name}: {error}"


def _made_up(tools: list[Tool]) -> Iterator[tuple[str, dict[str, Any]]]:
    schemas = {tool.name: tool.input_schema for tool in tools}
    for name, schema in schemas.items():
        if name == "t__json_schema_echo":
            yield name, {"schema": schemas["t__json_schema_2020_12_tool"]}
        else:
            yield name, _values(schema)


def _values(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {name: one.get("default", _MADE_UP.get(one.get("type"), "a")) for name, one in properties.items()}


async def _elicit(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content=_values(params.requested_schema))


async def _sample(context: Any, params: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="a"), model="none")


async def _list_roots(context: Any) -> ListRootsResult:
    return ListRootsResult(roots=[])
