"""Our CRDs on the API server under test."""

import asyncio
from pathlib import Path

import yaml

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.kubeconfig import from_kubeconfig
from wharfinger_cluster.resource import CUSTOM_RESOURCE_DEFINITION
from wharfinger_crds.kinds import KINDS, Kind

CRDS = Path(__file__).parents[2] / "crds"


async def serve_crds(kubeconfig: str) -> None:
    """Apply the CRDs and return when each kind can be listed."""
    async with Cluster(await from_kubeconfig(kubeconfig)) as cluster, asyncio.timeout(60):
        for path in sorted(CRDS.glob("*.yaml")):
            await cluster.apply(CUSTOM_RESOURCE_DEFINITION, yaml.safe_load(path.read_text()))
        for kind in KINDS:
            while not await _is_served(cluster, kind):  # noqa: ASYNC110 - discovery of a new CRD sends no event
                await asyncio.sleep(0.1)


async def _is_served(cluster: Cluster, kind: Kind) -> bool:
    try:
        await cluster.list(kind_resource(kind))
    except NotFound:
        return False
    return True
