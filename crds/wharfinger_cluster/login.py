"""The way to the API server: its address, TLS, the credential, and the HTTP session that carries them.

Invariants: a credential is read when it is needed and never older than `TOKEN_LIFETIME`; it appears in no repr and no error. In a pod,
nothing but the service account's files is read, and the `kubernetes` package is not imported.
"""

import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from wharfinger_cluster.errors import LoginError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
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

    def session(self, *, limit: int = 32) -> aiohttp.ClientSession:
        """Open an HTTP session that is logged in; at most `limit` connections, 0 for any number. The caller closes it.

        For kopf: `kopf.AiohttpSession(server=login.server, default_namespace=login.namespace, aiohttp_session=login.session())`.
        kopf closes the session it was given, so it needs one of its own.
        """
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.tls or True, limit=limit),
            headers={"User-Agent": USER_AGENT},
            middlewares=(self._authorize,),
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


class TokenFile:
    """A bearer token that somebody else keeps fresh in a file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._value = ""
        self._read_at = -TOKEN_LIFETIME

    async def __call__(self) -> str:
        """Return the Authorization header; a file that cannot be read now leaves the last token in use."""
        now = self._clock()
        if not self._value or now - self._read_at >= TOKEN_LIFETIME:
            self._value = self._read() or self._value
            self._read_at = now
        return self._value

    def _read(self) -> str:
        try:
            token = self._path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            if self._value:
                return ""
            raise LoginError(f"cannot read the token {self._path}: {type(error).__name__}") from None
        return f"Bearer {token}" if token else ""


def in_cluster(environ: Mapping[str, str], directory: Path = SERVICE_ACCOUNT) -> Login:
    """Log in as the pod's service account. Raise `LoginError` outside of a pod, or where the token is not mounted."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise LoginError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; outside of a pod, set KUBECONFIG")
    try:
        tls = api_server_tls(directory / "ca.crt")
        namespace = (directory / "namespace").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        fault = type(error).__name__
        raise LoginError(f"cannot read ca.crt or namespace in {directory} ({fault}); is automountServiceAccountToken off?") from None
    address = f"[{host}]" if ":" in host else host
    return Login(server=f"https://{address}:{port}", namespace=namespace, tls=tls, authorization=TokenFile(directory / "token"))


async def login(environ: Mapping[str, str], *, kubeconfig: str = "", context: str = "") -> Login:
    """Log in by the given kubeconfig, else `KUBECONFIG`, else as the pod's service account, else by `~/.kube/config`.

    `environ` is the process's environment. Raise `LoginError` saying what to set.
    """
    chosen = kubeconfig or environ.get("KUBECONFIG", "")
    if not chosen and environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster(environ)
    # Not imported at the top: it takes the `kubernetes` package, tens of MiB, along, which a pod never needs.
    from wharfinger_cluster.kubeconfig import from_kubeconfig  # noqa: PLC0415

    return await from_kubeconfig(chosen or str(Path.home() / ".kube" / "config"), context)
