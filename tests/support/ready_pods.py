"""What a kubelet would say of pods, said by the test: they are ready."""

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.resource import POD, Scope


async def ready_pods(cluster: Cluster, namespace: str, *servers: str) -> None:
    """Make the pods of these Deployments of a namespace, or of all, ready."""
    for pod in await cluster.list(POD, Scope(namespace)):
        if servers and not any(pod["metadata"]["name"].startswith(f"{server}-") for server in servers):
            continue
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        try:
            await cluster.patch(POD, pod["metadata"]["name"], {"status": status}, namespace, subresource="status")
        except NotFound:
            continue
