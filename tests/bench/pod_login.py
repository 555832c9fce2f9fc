"""What a pod finds to log in by: the API server's address in its environment, and a service account's files."""

import os
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import yaml

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.resource import SERVICE_ACCOUNT, Object, Resource

ACCOUNT = "WHARFINGER_BENCH_ACCOUNT"
"""Environment variable: where the files are."""
SERVER = "WHARFINGER_BENCH_SERVER"
"""Environment variable: the URL of the server that stands for all."""
_BINDING = Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)


@asynccontextmanager
async def pod_login(cluster: Cluster, kubeconfig: str, namespace: str) -> AsyncIterator[None]:
    """Let programs that are started meanwhile find a service account that may do everything."""
    name = f"bench-{namespace}"
    await cluster.create(SERVICE_ACCOUNT, {"metadata": {"name": name, "namespace": namespace}})
    binding: Object = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    await cluster.create(_BINDING, binding)
    try:
        with TemporaryDirectory() as folder:
            server, token = await _token(kubeconfig, name, namespace)
            _write(Path(folder), kubeconfig, namespace, token)
            host, port = urlsplit(server).hostname or "", urlsplit(server).port or 443
            os.environ |= {ACCOUNT: folder, "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port)}
            yield
    finally:
        await cluster.delete(_BINDING, name)


async def _token(kubeconfig: str, name: str, namespace: str) -> tuple[str, str]:
    """Return the API server's address and a token of the service account (TokenRequest)."""
    # Not at the top: the operator, which reads names here, has no such library.
    from wharfinger_cluster.kubeconfig import from_kubeconfig  # noqa: PLC0415

    admin = await from_kubeconfig(kubeconfig)
    path = SERVICE_ACCOUNT.object(name, namespace, "token")
    async with admin.session() as session, session.post(f"{admin.server}{path}", json={"kind": "TokenRequest", "spec": {}}) as answer:
        return admin.server, (await answer.json())["status"]["token"]


def _write(folder: Path, kubeconfig: str, namespace: str, token: str) -> None:
    found: Object = yaml.safe_load(Path(kubeconfig).read_text())["clusters"][0]["cluster"]
    authority = found.get("certificate-authority")
    (folder / "token").write_text(token)
    (folder / "namespace").write_text(namespace)
    (folder / "ca.crt").write_bytes(Path(authority).read_bytes() if authority else b64decode(found["certificate-authority-data"]))
