"""What stands between the conformance suite and the gateway: the suite knows neither tokens nor prefixes, so both are added on the way."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}
NAMED = {"tools/call", "prompts/get"}
"""Methods whose params name what the gateway has a prefix for."""
_LINE_BYTES = 16 * 1024 * 1024


@asynccontextmanager
async def adapter(endpoint: str, token: str, prefix: str) -> AsyncIterator[str]:
    """Give a URL that leads to the endpoint, with the token added and `<prefix>__` taken off the names of tools and prompts."""
    mark = f"{prefix}__"

    async def forward(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        headers["Authorization"] = f"Bearer {token}"
        if request.headers.get("Mcp-Method") in NAMED and "Mcp-Name" in headers:
            headers["Mcp-Name"] = mark + headers["Mcp-Name"]
        body = _renamed(await request.read(), mark)
        async with session.request(request.method, endpoint, data=body, headers=headers) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            # A name never stands on two lines, neither in JSON nor in an event.
            async for line in answer.content:
                await response.write(line.replace(f'"name":"{mark}'.encode(), b'"name":"'))
            return response

    app = web.Application()
    app.add_routes([web.route("*", "/mcp", forward)])
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    async with aiohttp.ClientSession(read_bufsize=_LINE_BYTES, timeout=aiohttp.ClientTimeout(total=None)) as session:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
        finally:
            await runner.cleanup()


def _renamed(body: bytes, mark: str) -> bytes:
    try:
        message = json.loads(body)
    except ValueError:
        return body
    named = _named(message) if isinstance(message, dict) else None
    if named is None or not isinstance(named.get("name"), str):
        return body
    named["name"] = mark + named["name"]
    return json.dumps(message).encode()


def _named(message: dict[str, Any]) -> dict[str, Any] | None:
    """Return the object with the name."""
    params: dict[str, Any] = message.get("params") or {}
    if message.get("method") in NAMED:
        return params
    return params.get("ref") if message.get("method") == "completion/complete" else None
