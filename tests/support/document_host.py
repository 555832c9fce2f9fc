"""A web site that holds metadata documents of clients, over TLS on the loopback interface, and what fetches from it."""

import contextlib
import ipaddress
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509

from certificate import self_signed
from wharfinger_crds.address_ranges import Address, network
from wharfinger_oauth.guarded_http import Fetcher

HOST = "apps.example"
LOOPBACK = (network("127.0.0.0/8"),)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class DocumentHost:
    """Answers by path; what has no answer is not found."""

    port: int
    trust: ssl.SSLContext
    certificate: str
    answers: dict[str, Handler] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    addresses: Sequence[str] = ("127.0.0.1",)

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        return f"https://{HOST}:{self.port}{path}"

    def put(self, path: str, content: object, status: int = 200, **headers: str) -> str:
        """Let a path answer with JSON; return its URL. Bytes are sent as they are."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()

        async def answer(request: web.Request) -> web.StreamResponse:
            fields = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(status=status, body=body, headers=fields)

        self.answers[path] = answer
        return self.url(path)

    def document(self, path: str, **metadata: Any) -> str:
        """Put a document of a client there; return the client's id."""
        contents = {"client_id": self.url(path), "client_name": "Agent", "redirect_uris": ["http://localhost/callback"], **metadata}
        return self.put(path, contents)

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Say where every name is."""
        self.resolved.append(host)
        return tuple(ipaddress.ip_address(text) for text in self.addresses)

    def fetcher(self, **options: Any) -> Fetcher:
        """Return what fetches from here, and from this machine if `networks` says so."""
        merged: dict[str, Any] = {"tls": self.trust, "resolve": self.resolve, "networks": LOOPBACK} | options
        return Fetcher(**merged)


@contextlib.asynccontextmanager
async def document_host(*names: str) -> AsyncIterator[DocumentHost]:
    """Yield a running site; it goes by these names too."""
    certificate, key = self_signed(*map(x509.DNSName, (HOST, *names)))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder) / "pair.pem"
        pair.write_bytes(certificate.encode() + key)
        tls.load_cert_chain(pair)
    host = DocumentHost(0, ssl.create_default_context(cadata=certificate), certificate)

    async def serve(request: web.Request) -> web.StreamResponse:
        host.asked.append(request.path_qs)
        host.headers.append({name.lower(): value for name, value in request.headers.items()})
        handler = host.answers.get(request.path_qs)
        return await handler(request) if handler else web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    host.port = runner.addresses[0][1]
    try:
        yield host
    finally:
        await runner.cleanup()
