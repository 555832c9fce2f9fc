"""Damage to the children of one installation, and how it shows that it is repaired."""

from collections.abc import Awaitable, Callable
from typing import Any

from bench.scene import Scene

from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.resource import DEPLOYMENT, NETWORK_POLICY, SECRET, SERVICE, Resource
from wharfinger_crds import names


async def _deleted(scene: Scene, resource: Resource, name: str, namespace: str) -> Callable[[], Awaitable[bool]]:
    before = (await scene.cluster.get(resource, name, namespace))["metadata"]["uid"]
    await scene.cluster.delete(resource, name, namespace)

    async def is_back() -> bool:
        try:
            return bool((await scene.cluster.get(resource, name, namespace))["metadata"]["uid"] != before)
        except NotFound:
            return False

    return is_back


async def _edited(scene: Scene, resource: Resource, name: str, spec: dict[str, Any]) -> Callable[[], Awaitable[bool]]:
    namespace = scene.spaces.servers
    before = (await scene.cluster.get(resource, name, namespace))["spec"]
    await scene.cluster.patch(resource, name, {"spec": spec}, namespace)

    async def is_as_before() -> bool:
        return bool((await scene.cluster.get(resource, name, namespace))["spec"] == before)

    return is_as_before


async def damage(scene: Scene, number: int) -> Callable[[], Awaitable[bool]]:
    """Delete or edit a child of an installation; return what tells whether it is as it was."""
    name, servers = scene.server(number), scene.spaces.servers
    connection = names.connection_name(scene.spaces.tenant, f"server-{number:04}")
    match number % 7:
        case 0:
            return await _deleted(scene, DEPLOYMENT, name, servers)
        case 1:
            return await _deleted(scene, SERVICE, name, servers)
        case 2:
            return await _deleted(scene, NETWORK_POLICY, name, servers)
        case 3:
            return await _deleted(scene, SECRET, connection, scene.spaces.system)
        case 4:
            return await _edited(scene, DEPLOYMENT, name, {"replicas": 0})
        case 5:
            return await _edited(scene, SERVICE, name, {"selector": {"app": "other"}})
        case _:
            return await _edited(scene, NETWORK_POLICY, name, {"egress": [{}]})
