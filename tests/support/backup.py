"""A backup of a platform's objects, as a repository or a backup tool keeps them, the loss of all of them, and their restore."""

from collections.abc import Iterable
from dataclasses import dataclass

from operator_platform import Platform, until
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    NETWORK_POLICY,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Object,
    Resource,
    Scope,
)
from wharfinger_crds import names
from wharfinger_crds.kinds import KINDS

CHILDREN = (SECRET, CONFIG_MAP, SERVICE, SERVICE_ACCOUNT, DEPLOYMENT, NETWORK_POLICY)
OF_THE_CLUSTER = {"kube-root-ca.crt", "default"}
"""What every namespace gets by itself."""
_OF_THE_SERVER = {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "ownerReferences", "selfLink"}
Kept = tuple[Resource, Object]


@dataclass(frozen=True)
class Backup:
    """Manifests without status and uid."""

    first: tuple[Kept, ...]
    """Without which no operator starts as the same: namespaces, settings, root key, signing keys."""
    rest: tuple[Kept, ...]


async def backup(platform: Platform, *, children: bool) -> Backup:
    """Return what people wrote and the keys; with `children`, all that the operator made as well."""
    cluster, spaces = platform.cluster, platform.spaces
    everywhere = (spaces.system, spaces.catalog, spaces.servers, spaces.tenant)
    namespaces = [await cluster.get(NAMESPACE, name) for name in everywhere]
    settings = await cluster.get(CONFIG_MAP, names.SETTINGS_CONFIGMAP, spaces.system)
    key = await cluster.get(SECRET, names.ROOT_KEY_SECRET, spaces.system)
    signing = await cluster.get(SECRET, names.SIGNING_KEYS_SECRET, spaces.system)
    whole = [(CONFIG_MAP, settings), (SECRET, key), (SECRET, signing)]
    first = [(NAMESPACE, {"metadata": namespace["metadata"]}) for namespace in namespaces] + whole
    own = [(kind_resource(kind), await cluster.get(kind_resource(kind), name)) for (_, name), kind in platform.clusterwide.items()]
    for kind in (kind for kind in KINDS if kind.namespaced):
        own += [
            (kind_resource(kind), o)
            for place in (spaces.tenant, spaces.system)
            for o in await cluster.list(kind_resource(kind), Scope(place))
        ]
    others = [
        (resource, o)
        for resource in CHILDREN
        for place in everywhere
        for o in await cluster.list(resource, Scope(place))
        if children or o["metadata"].get("labels", {}).get(names.MANAGED_BY) != names.MANAGER
    ]
    done = {(resource, o["metadata"]["name"]) for resource, o in first}
    rest = [(r, o) for r, o in (*own, *others) if (r, o["metadata"]["name"]) not in done and o["metadata"]["name"] not in OF_THE_CLUSTER]
    return Backup(tuple((r, _portable(o)) for r, o in first), tuple((r, _portable(o)) for r, o in rest))


def _portable(found: Object) -> Object:
    metadata = {key: value for key, value in found["metadata"].items() if key not in _OF_THE_SERVER}
    kept = {key: value for key, value in found.items() if key != "status"} | {"metadata": metadata}
    if found.get("kind") == "Service":
        kept["spec"] = {key: value for key, value in found["spec"].items() if key not in {"clusterIP", "clusterIPs"}}
    return kept


async def lose_everything(platform: Platform) -> None:
    """Delete all objects and namespaces of a platform, and return when they are gone."""
    spaces = platform.spaces
    for (_, name), kind in platform.clusterwide.items():
        await platform.cluster.delete(kind_resource(kind), name)
    everywhere = (spaces.tenant, spaces.servers, spaces.catalog, spaces.system)
    for name in everywhere:
        await platform.cluster.delete(NAMESPACE, name)

    async def are_gone() -> bool:
        return not [name for name in everywhere if await _is_there(platform.cluster, name)]

    await until(are_gone, 120)


async def _is_there(cluster: Cluster, namespace: str) -> bool:
    try:
        await cluster.get(NAMESPACE, namespace)
    except NotFound:
        return False
    return True


async def restore(platform: Platform, kept: Iterable[Kept]) -> None:
    """Create the objects, in this order."""
    for resource, manifest in kept:
        await platform.cluster.create(resource, manifest)
