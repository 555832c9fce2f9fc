"""What stands between the conformance suite and the gateway: the suite knows neither tokens nor prefixes, so both are added on the way."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}


@asynccontextmanager
async def adapter(endpoint: str, token: str, prefix: str) -> AsyncIterator[str]:
    """Give a URL that leads to the endpoint, with the token added and `<prefix>__` taken off the tools' names."""
    mark = f"{prefix}__"

    async def forward(request: web.Request) -> web.Response:
        body = _renamed(await request.read(), lambda name: mark + name)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        headers["Authorization"] = f"Bearer {token}"
        if request.headers.get("Mcp-Method") == "tools/call":
            headers["Mcp-Name"] = mark + request.headers.get("Mcp-Name", "")
        async with session.request(request.method, endpoint, data=body, headers=headers) as answer:
            text = (await answer.read()).replace(f'"name":"{mark}'.encode(), b'"name":"')
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            return web.Response(status=answer.status, body=text, headers=kept)

    app = web.Application()
    app.add_routes([web.route("*", "/mcp", forward)])
    runner = web.AppRunner(app)
    async with aiohttp.ClientSession(auto_decompress=True) as session:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
        finally:
            await runner.cleanup()


def _renamed(body: bytes, rename: Any) -> bytes:
    try:
        message = json.loads(body)
    except ValueError:
        return body
    if isinstance(message, dict) and message.get("method") == "tools/call":
        message["params"]["name"] = rename(message["params"]["name"])
        return json.dumps(message).encode()
    return body
