"""What shares a host with others: it takes a path off the requests below it, and passes well-known URLs of that path on as they are."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

WELL_KNOWN = tuple(f"/.well-known/{name}" for name in ("oauth-authorization-server", "openid-configuration", "oauth-protected-resource"))
_HOP = {"transfer-encoding", "connection", "keep-alive", "content-length"}


@asynccontextmanager
async def path_proxy(port: int, path: str, backend: Callable[[], str]) -> AsyncIterator[None]:
    """Serve a port of the loopback interface; everything outside of the path is somebody else's."""
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            whole = request.raw_path
            if whole.startswith(f"{path}/"):
                target = whole.removeprefix(path)
            elif any(whole.partition("?")[0].startswith(f"{name}{path}") for name in WELL_KNOWN):
                target = whole
            else:
                return web.Response(status=404, text="somebody else's")
            sent = session.request(
                request.method, backend() + target, headers=request.headers, data=await request.read(), allow_redirects=False
            )
            async with sent as answer:
                response = web.StreamResponse(status=answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in _HOP:
                        response.headers.add(name, value)
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response

        runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield
        finally:
            await runner.cleanup()
