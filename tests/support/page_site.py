"""The authorization server's pages on real ports, and clients of every kind that a consent can lead to."""

import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from cryptography import x509

from certificate import self_signed
from wharfinger_oauth import pages
from wharfinger_oauth.request import Response

Page = Callable[["PageSite"], Response]


@dataclass
class PageSite:
    """Serves one page at /, and remembers what its forms send."""

    page: Page
    leads_to: str = ""
    """Where a form's answer sends the browser."""
    url: str = ""
    forms: list[dict[str, str]] = field(default_factory=list)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer with the page."""
        return _http(self.page(self))

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Take a form and lead on, as the consent does."""
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        return web.Response(status=303, headers={"Location": self.leads_to, "Cache-Control": "no-store"})


@dataclass
class Callback:
    """Where a client waits for its code; with `leads_to`, it sends the browser on."""

    url: str
    leads_to: str = ""
    queries: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take the code."""
        self.queries.append(dict(request.query))
        if self.leads_to:
            return web.Response(status=302, headers={"Location": self.leads_to})
        return web.Response(text="<!doctype html><title>Connected</title><h1>Connected</h1>", content_type="text/html")


@contextlib.asynccontextmanager
async def page_site(page: Page) -> AsyncIterator[PageSite]:
    """Yield a site with a page."""

    async def style(request: web.Request) -> web.StreamResponse:
        return _http(pages.stylesheet())

    site = PageSite(page)
    app = web.Application()
    app.add_routes([web.get("/", site.show), web.get(pages.STYLESHEET_PATH, style), web.post("/{path:.*}", site.take)])
    async with _serving(app, None) as port:
        site.url = f"http://127.0.0.1:{port}/"
        yield site


@contextlib.asynccontextmanager
async def callback(scheme: str = "http", host: str = "localhost") -> AsyncIterator[Callback]:
    """Yield a client's place for its code, under a name that the browser takes for this machine."""
    found = Callback("")
    app = web.Application()
    app.add_routes([web.get("/callback", found.answer), web.get("/favicon.ico", _nothing)])
    async with _serving(app, _tls(host) if scheme == "https" else None) as port:
        found.url = f"{scheme}://{host}:{port}/callback"
        yield found


@contextlib.asynccontextmanager
async def _serving(app: web.Application, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _nothing(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


def _tls(host: str) -> ssl.SSLContext:
    certificate, key = self_signed(x509.DNSName(host))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder) / "pair.pem"
        pair.write_bytes(certificate.encode() + key)
        context.load_cert_chain(pair)
    return context


def _http(response: Response) -> web.StreamResponse:
    return web.Response(status=response.status, body=response.body, headers=dict(response.headers))
