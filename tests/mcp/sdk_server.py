"""The official SDK's server in the shapes that servers have in the field, each at a path of its own; prints its port.

`/stateful-sse` … `/stateless-json` refuse modern requests as SDKs before 2026-07-28 do; `/modern-sse` and `/modern-json` serve both eras.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server import InitializationOptions, ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

TOOLS = [
    types.Tool(name=f"tool-{number:03}", description="x" * 200, input_schema={"type": "object", "properties": {"n": {"type": "integer"}}})
    for number in range(500)
]
PAGE = 60
BUS = InMemorySubscriptionBus()
LEGACY = ("2025-03-26", "2025-06-18", "2025-11-25")


async def list_tools(ctx: ServerRequestContext, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    # The second page's cursor is empty, which is a cursor like any other.
    start = 0 if params is None or params.cursor is None else int(params.cursor or PAGE)
    following = start + PAGE
    cursor = None if following >= len(TOOLS) else "" if following == PAGE else str(following)
    return types.ListToolsResult(tools=TOOLS[start:following], next_cursor=cursor)


async def call_tool(ctx: ServerRequestContext, params: types.CallToolRequestParams) -> types.CallToolResult:
    arguments = params.arguments or {}
    if params.name == "slow":
        await asyncio.sleep(60)
    if params.name == "fail":
        return types.CallToolResult(content=[types.TextContent(text="no")], is_error=True)
    if params.name == "grow":
        await BUS.publish(ToolsListChanged())
        await ctx.session.send_tool_list_changed()
    if params.name == "chatty":
        for number in range(3):
            await ctx.session.report_progress(number)
    return types.CallToolResult(content=[types.TextContent(text=str(arguments.get("n")))])


async def list_prompts(ctx: ServerRequestContext, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
    return types.ListPromptsResult(prompts=[types.Prompt(name="greet")])


class AnnouncingServer(Server[Any]):
    """Says in the legacy handshake as well that its tools change."""

    def create_initialization_options(self, *_: Any, **options: Any) -> InitializationOptions:
        return super().create_initialization_options(NotificationOptions(tools_changed=True), **options)


def legacy_only(app: ASGIApp) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        version = dict(scope["headers"]).get(b"mcp-protocol-version", b"2025-03-26").decode()
        if version in LEGACY:
            await app(scope, receive, send)
            return
        error = {"code": -32600, "message": f"Bad Request: Unsupported protocol version: {version}"}
        await JSONResponse({"jsonrpc": "2.0", "id": "server-error", "error": error}, 400)(scope, receive, send)

    return serve


def main() -> None:
    apps: dict[str, ASGIApp] = {}
    managers = []
    for name in ("stateful", "stateless", "modern"):
        for answer in ("sse", "json"):
            server = AnnouncingServer(
                "sdk", version="2.3", instructions="be kind", on_list_tools=list_tools, on_call_tool=call_tool, on_list_prompts=list_prompts,
                on_subscriptions_listen=ListenHandler(BUS) if name == "modern" else None,
            )  # fmt: skip
            path = f"/{name}-{answer}"
            app = server.streamable_http_app(streamable_http_path=path, json_response=answer == "json", stateless_http=name == "stateless")
            managers.append(server.session_manager)
            apps[path] = app if name == "modern" else legacy_only(app)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for manager in managers:
                await stack.enter_async_context(manager.run())
            yield

    root = Starlette(lifespan=lifespan)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        await (root if scope["type"] == "lifespan" else apps[scope["path"]])(scope, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(dispatch, log_level="error")).run(sockets=[listener])


if __name__ == "__main__":
    main()
