"""The official Python SDK as each kind of client that a gateway has, with everything that a client can be asked and told."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    CreateMessageResult,
    ElicitRequestURLParams,
    ElicitResult,
    ListRootsResult,
    LoggingMessageNotificationParams,
    Root,
    TextContent,
)
from pydantic import FileUrl

ClientName = Literal["legacy", "sse", "modern"]
CLIENTS: tuple[ClientName, ...] = ("legacy", "sse", "modern")
"""Streamable HTTP of either era, and HTTP+SSE."""
NAMED = {"username": "Ann", "email": "ann@example.com"}
WATCHED = "test://watched-resource"


class PairClient:
    """One connected client, and what it was told."""

    def __init__(self) -> None:
        self.session: Client
        self.logged: list[Any] = []
        self.changed: list[str] = []
        """Lists that have changed, and URIs of resources that have."""

    async def call(self, name: str, arguments: Mapping[str, Any] | None = None, **options: Any) -> str:
        """Return the text of a tool's result."""
        called = await self.session.call_tool(f"t__{name}", dict(arguments or {}), **options)
        (content,) = called.content
        assert isinstance(content, TextContent)
        return content.text

    async def descriptions(self) -> Mapping[str, str | None]:
        """Return what the tools are said to do, as the server says it now."""
        return {tool.name: tool.description for tool in (await self.session.list_tools(cache_mode="refresh")).tools}


@asynccontextmanager
async def pair_client(kind: ClientName, endpoint: str, token: str) -> AsyncIterator[PairClient]:
    """Give a client that has declared everything, and hears of every log and of every change."""
    client = PairClient()

    async def elicit(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept") if isinstance(params, ElicitRequestURLParams) else ElicitResult(action="accept", content=NAMED)

    async def sample(context: Any, params: Any) -> CreateMessageResult:
        return CreateMessageResult(role="assistant", content=TextContent(text="said by the client's model"), model="m")

    async def roots(context: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=FileUrl("file:///home/ann"))])

    async def log(params: LoggingMessageNotificationParams) -> None:
        client.logged.append(params.data)

    async def hear(message: Any) -> None:
        method = getattr(message, "method", "")
        if method == "notifications/resources/updated":
            client.changed.append(str(message.params.uri))
        elif method.endswith("/list_changed"):
            client.changed.append(method.split("/")[1])

    async with asyncio.timeout(60), AsyncExitStack() as stack:
        headers = {"Authorization": f"Bearer {token}"}
        if kind == "sse":
            transport: Any = sse_client(f"{endpoint}/sse", headers=headers, httpx_client_factory=_fresh_connections)
        else:
            transport = streamable_http_client(endpoint, http_client=await stack.enter_async_context(_fresh_connections(headers)))
        client.session = await stack.enter_async_context(
            Client(
                transport,
                mode="2026-07-28" if kind == "modern" else "legacy",
                log_level="debug",
                elicitation_callback=elicit,
                sampling_callback=sample,
                list_roots_callback=roots,
                logging_callback=log,
                message_handler=hear,
            )
        )
        if kind != "modern":
            await client.session.set_logging_level("debug")
        yield client


def _fresh_connections(
    headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: httpx2.Auth | None = None
) -> httpx2.AsyncClient:
    """Return a client that makes each request on a connection of its own."""
    return httpx2.AsyncClient(headers=headers, timeout=30, auth=auth, limits=httpx2.Limits(max_keepalive_connections=0))


@asynccontextmanager
async def told_of_changes(client: PairClient, kind: ClientName) -> AsyncIterator[None]:
    """Have the client be told of all changes, those of `WATCHED` included."""
    if kind != "modern":
        await client.session.subscribe_resource(WATCHED)
        yield
        await client.session.unsubscribe_resource(WATCHED)
        return
    every = {"tools_list_changed": True, "prompts_list_changed": True, "resources_list_changed": True}
    async with client.session.listen(**every, resource_subscriptions=[WATCHED]):
        yield
