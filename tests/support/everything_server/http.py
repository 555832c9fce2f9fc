"""The HTTP server: `/mcp` serves both eras, `/legacy` and `/modern` one each, `/sse` the older transport.

`/apart` is `/legacy` with questions and the like on the stream that a GET opens.
"""

import json
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from everything_server import modern_http
from everything_server.http_sse import HttpSse
from everything_server.legacy_http import LegacyHttp
from everything_server.rpc import INVALID_REQUEST, Json, RpcError, failure, is_modern
from everything_server.surface import Surface

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def application(address: str) -> web.Application:
    """Return the server; it answers to an address and to names of this machine only."""
    surface = Surface()
    legacy, apart, sse = LegacyHttp(surface), LegacyHttp(surface, apart=True), HttpSse(surface, "/messages")

    async def either(request: web.Request) -> web.StreamResponse:
        message = await _message(request)
        if message is not None and is_modern(message, request.headers.get("MCP-Protocol-Version")):
            return await modern_http.handle(surface, request, message)
        return await legacy.handle(request, message)

    async def only_modern(request: web.Request) -> web.StreamResponse:
        message = await _message(request)
        return web.Response(status=405) if message is None else await modern_http.handle(surface, request, message)

    async def only_legacy(request: web.Request) -> web.StreamResponse:
        return await legacy.handle(request, await _message(request))

    async def only_apart(request: web.Request) -> web.StreamResponse:
        return await apart.handle(request, await _message(request))

    async def close(_: web.Application) -> None:
        legacy.close()
        apart.close()

    app = web.Application(middlewares=[_local(address)])
    handlers = {"/mcp": either, "/modern": only_modern, "/legacy": only_legacy, "/apart": only_apart}
    app.add_routes([web.route("*", path, handler) for path, handler in handlers.items()])
    app.add_routes([web.get("/sse", sse.stream), web.post("/messages", sse.message)])
    app.on_shutdown.append(close)
    return app


async def _message(request: web.Request) -> Json | None:
    """Return the message of a POST, None for another verb; raises an HTTP error where there is no message in it."""
    if request.method != "POST":
        return None
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        message = await request.json()
    except json.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        text = json.dumps(failure(None, RpcError(INVALID_REQUEST, "the body must be one message")))
        raise web.HTTPBadRequest(text=text, content_type="application/json")
    return message


def _local(address: str) -> Middleware:
    allowed = _LOOPBACK | {address}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        named = [f"//{request.headers.get('Host', '')}", *request.headers.getall("Origin", [])]
        if any(urlsplit(one).hostname not in allowed for one in named):
            raise web.HTTPForbidden(text="neither Host nor Origin may be foreign")
        return await handler(request)

    return check
