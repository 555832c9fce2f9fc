"""A cluster's network as the API server shows it, made and changed by a test: an agent's DaemonSet, its settings, nodes, and the agent's words."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.resource import CILIUM_NETWORK_POLICY, CONFIG_MAP, DAEMON_SET, NODE, Object, Resource

NOWHERE = {"wharfinger.dev/test": "nowhere"}


@asynccontextmanager
async def standing(cluster: Cluster, resource: Resource, body: Object) -> AsyncIterator[Object]:
    """Make an object; take it away afterwards."""
    made = await cluster.create(resource, body)
    try:
        yield made
    finally:
        with suppress(NotFound):
            await cluster.delete(resource, body["metadata"]["name"], body["metadata"].get("namespace"))


@asynccontextmanager
async def cilium_agent(cluster: Cluster, **config: str) -> AsyncIterator[None]:
    """Cilium's agent as it stands in kube-system, with a ready pod; its settings are those of `config`, by their names with `_` for `-`."""
    labels = {"k8s-app": "cilium"}
    pod = {"nodeSelector": NOWHERE, "containers": [{"name": "cilium-agent", "image": "x"}]}
    daemon_set = {
        "metadata": {"name": "cilium", "namespace": "kube-system"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(standing(cluster, CONFIG_MAP, _settings(config)))
        await stack.enter_async_context(standing(cluster, DAEMON_SET, daemon_set))
        status = {"status": {"numberReady": 1, "currentNumberScheduled": 1, "desiredNumberScheduled": 1, "numberMisscheduled": 0}}
        await cluster.patch(DAEMON_SET, "cilium", status, "kube-system", subresource="status")
        yield


async def set_cilium(cluster: Cluster, **config: str) -> None:
    """Change settings of Cilium's agent."""
    await cluster.patch(CONFIG_MAP, "cilium-config", {"data": _settings(config)["data"]}, "kube-system")


def _settings(config: dict[str, str]) -> Object:
    data = {key.replace("_", "-"): value for key, value in config.items()}
    return {"metadata": {"name": "cilium-config", "namespace": "kube-system"}, "data": data}


async def cilium_says(cluster: Cluster, name: str, namespace: str, *, valid: bool, message: str = "") -> None:
    """Judge a policy as Cilium's agent does."""
    status = "True" if valid else "False"
    found = {"type": "Valid", "status": status, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    await cluster.patch(CILIUM_NETWORK_POLICY, name, {"status": {"conditions": [found]}}, namespace, subresource="status")


@asynccontextmanager
async def node(cluster: Cluster, name: str, external: str, pods: str) -> AsyncIterator[None]:
    """A node with a public address and a block of pods."""
    spec: dict[str, Any] = {"podCIDR": pods, "podCIDRs": [pods], "unschedulable": True}
    async with standing(cluster, NODE, {"metadata": {"name": name}, "spec": spec}):
        addresses = [{"type": "InternalIP", "address": "10.0.0.4"}, {"type": "ExternalIP", "address": external}]
        await cluster.patch(NODE, name, {"status": {"addresses": addresses}}, subresource="status")
        yield
