"""Log in with what the surroundings offer: a pod's service account, else a kubeconfig.

Invariants: a token is never older than `TOKEN_LIFETIME`; it appears in no repr and no error. In a pod, nothing but the service account's
files is read, and the `kubernetes` package is not imported.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from wharfinger_cluster.connection import TOKEN_LIFETIME, Login, api_server_tls
from wharfinger_cluster.errors import LoginError

__all__ = ["SERVICE_ACCOUNT", "Login", "TokenFile", "in_cluster", "login"]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


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
