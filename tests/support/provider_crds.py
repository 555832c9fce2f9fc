"""The kinds of policy of providers on the API server under test, one version at a time."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Conflict, NotFound
from wharfinger_cluster.resource import (
    APPLICATION_NETWORK_POLICY,
    CILIUM_NETWORK_POLICY,
    CUSTOM_RESOURCE_DEFINITION,
    FQDN_NETWORK_POLICY,
    Object,
    Resource,
)

FOLDER: Final = Path(__file__).parent / "testdata/provider-crds"
KIND_OF: Final[dict[str, Resource]] = {
    "Cilium": CILIUM_NETWORK_POLICY,
    "AWS": APPLICATION_NETWORK_POLICY,
    "GKE": FQDN_NETWORK_POLICY,
}
CILIUM: Final = ("cilium-v1.16.9", "cilium-v1.17.3", "cilium-v1.18.0-rc.0", "cilium-v1.19.0-dev-20251223", "cilium-v1.20.2")
VERSIONS: Final = (*(("Cilium", version) for version in CILIUM), ("AWS", "aws"), ("GKE", "gke"))
"""Provider and file."""


def definition(version: str) -> Object:
    """Return the CustomResourceDefinition of a file."""
    found: Object = json.loads(_read(version))
    return found


@functools.cache
def _read(version: str) -> str:
    found: Any = yaml.load((FOLDER / f"{version}.yaml").read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one
    metadata = {"name": found["metadata"]["name"], "annotations": found["metadata"].get("annotations", {})}
    return json.dumps({"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": metadata, "spec": found["spec"]})


async def serve(cluster: Cluster, version: str) -> None:
    """Return when a definition is served; a cluster that has its own is not touched."""
    found = definition(version)
    try:
        await cluster.create(CUSTOM_RESOURCE_DEFINITION, found)
    except Conflict:
        pytest.skip(f"this cluster has {found['metadata']['name']} of its own; run these tests against one without providers")
    names, latest = found["spec"]["names"], found["spec"]["versions"][0]["name"]
    resource = Resource(found["spec"]["group"], latest, names["plural"], names["kind"])
    async with asyncio.timeout(60):
        while not await is_served(cluster, resource):  # noqa: ASYNC110 - discovery of a new CRD sends no event
            await asyncio.sleep(0.1)


async def withdraw(cluster: Cluster, version: str) -> None:
    """Return when a definition and its objects are gone."""
    name = definition(version)["metadata"]["name"]
    try:
        await cluster.delete(CUSTOM_RESOURCE_DEFINITION, name)
    except NotFound:
        return
    async with asyncio.timeout(60):
        while await _is_there(cluster, name):  # noqa: ASYNC110 - asked, because a test needs no informer for one answer
            await asyncio.sleep(0.1)


@asynccontextmanager
async def served(cluster: Cluster, version: str) -> AsyncIterator[None]:
    """Serve a definition for a while."""
    await serve(cluster, version)
    try:
        yield
    finally:
        await withdraw(cluster, version)


async def is_served(cluster: Cluster, resource: Resource) -> bool:
    """Tell whether a resource can be listed."""
    try:
        await cluster.list(resource)
    except NotFound:
        return False
    return True


async def _is_there(cluster: Cluster, name: str) -> bool:
    try:
        await cluster.get(CUSTOM_RESOURCE_DEFINITION, name)
    except NotFound:
        return False
    return True
