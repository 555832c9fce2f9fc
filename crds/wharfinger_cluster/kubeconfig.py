"""Log in by a kubeconfig: outside of clusters only, through the `kubernetes` package's loader.

It knows client certificates, tokens, token files, exec plugins, OIDC and merging of several files. A credential that can change is
loaded again at most every `TOKEN_LIFETIME` seconds; a client certificate handed out by an exec plugin is not.
"""

import asyncio
import time
from typing import Any

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config
from yaml import YAMLError

from wharfinger_cluster.connection import TOKEN_LIFETIME, Login, api_server_tls
from wharfinger_cluster.errors import LoginError

# The loader raises whatever a malformed file makes it stumble over.
_FAULTS = (ConfigException, YAMLError, OSError, KeyError, TypeError, ValueError, AttributeError)


async def from_kubeconfig(path: str, context: str = "") -> Login:
    """Log in by the file at `path` (several, joined by `:`, are merged), in `context` or its current one; raise `LoginError`."""
    configuration = Configuration()
    try:
        loader = await load_kube_config(path, context or None, configuration, persist_config=False)  # type: ignore[no-untyped-call]
        tls = api_server_tls(configuration.ssl_ca_cert, insecure=not configuration.verify_ssl)
        if configuration.cert_file:
            tls.load_cert_chain(configuration.cert_file, configuration.key_file)
        namespace = loader.current_context["context"].get("namespace", "default")
    except _FAULTS as error:
        words = str(error) if isinstance(error, ConfigException) else type(error).__name__
        raise LoginError(f"kubeconfig {path}{f', context {context}' if context else ''}: {words}") from None
    return Login(
        server=configuration.host.rstrip("/"),
        namespace=namespace,
        tls=tls,
        tls_server_name=configuration.tls_server_name or "",
        proxy=configuration.proxy or "",
        authorization=_Reloaded(loader, configuration),
    )


class _Reloaded:
    """The credential of a kubeconfig's user, loaded again when it may have changed."""

    def __init__(self, loader: Any, configuration: Configuration) -> None:
        self._loader = loader
        self._configuration = configuration
        self._loaded_at = time.monotonic()
        self._lock = asyncio.Lock()

    async def __call__(self) -> str:
        async with self._lock:
            if time.monotonic() - self._loaded_at >= TOKEN_LIFETIME:
                try:
                    await self._loader.load_and_set(self._configuration)
                except _FAULTS as error:
                    raise LoginError(f"cannot load the kubeconfig's credential again: {type(error).__name__}") from None
                self._loaded_at = time.monotonic()
            return str(self._configuration.api_key.get("BearerToken", ""))
