"""The way to one API server as one identity: its address, TLS, the credential, and the HTTP session that carries them.

Invariants: a credential is asked for when it is needed and appears in no repr and no error.
"""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp.connector import NEEDS_CLEANUP_CLOSED

TOKEN_LIFETIME = 60.0
"""Seconds after which a token is read again: the kubelet replaces it long before the old one ends."""
USER_AGENT = "wharfinger"

Authorization = Callable[[], Awaitable[str]]
"""Gives the value of the Authorization header; empty for none."""


async def anonymous() -> str:
    """Give no credential: for client certificates, and for proxies that add their own."""
    return ""


@dataclass(frozen=True, kw_only=True)
class Login:
    """How to reach one API server as one identity."""

    server: str
    """https://host:port, with a path if the API server is behind one."""
    namespace: str = "default"
    """The pod's own namespace, or that of the kubeconfig's context."""
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """Not needed for plain http, as behind `kubectl proxy`."""
    tls_server_name: str = ""
    """Who the certificate must name, where that is not the server's host."""
    proxy: str = field(default="", repr=False)
    authorization: Authorization = field(default=anonymous, repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    """Header fields of every request beside the credential, such as `Impersonate-User`."""

    def session(self, *, limit: int = 32, outer: tuple[aiohttp.ClientMiddlewareType, ...] = ()) -> aiohttp.ClientSession:
        """Open an HTTP session that is logged in; at most `limit` connections, 0 for any number. The caller closes it.

        `outer` are middlewares around the log-in: they see no credential.
        """
        return aiohttp.ClientSession(
            # On Pythons that need it: a TLS connection whose request was cancelled would else stay open until its peer closes it, too.
            connector=aiohttp.TCPConnector(ssl=self.tls or True, limit=limit, enable_cleanup_closed=NEEDS_CLEANUP_CLOSED),
            headers={"User-Agent": USER_AGENT, **dict(self.headers)},
            middlewares=(*outer, self._authorize),
            proxy=self.proxy or None,
        )

    async def _authorize(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        credential = await self.authorization()
        if credential:
            request.headers["Authorization"] = credential
        if self.tls_server_name:
            request.server_hostname = self.tls_server_name
        return await handler(request)


def api_server_tls(ca_file: str | Path | None, *, insecure: bool = False) -> ssl.SSLContext:
    """Return the TLS settings for talking to an API server; without a CA file, the system's authorities count."""
    context = ssl.create_default_context(cafile=ca_file)
    # Python 3.13 turned RFC 5280's strict checks on, and the CAs of EKS and other clusters lack the key identifiers that these demand
    # (kubernetes-client/python#2394). The CA is pinned by file, so nothing is lost.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
