"""What sweeps do to objects: to the very version that was looked at, or not at all; and times that they find there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Conflict, NotFound
from wharfinger_cluster.resource import Object, Resource
from wharfinger_crds.moment import seconds_of


async def delete_as_seen(cluster: Cluster, resource: Resource, found: Object) -> int:
    """Delete an object, and return 1; 0 where it has changed meanwhile, and stays, or is gone. Raises ClusterError."""
    meta = found["metadata"]
    preconditions = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    try:
        await cluster.delete(resource, meta["name"], meta["namespace"], preconditions=preconditions)
    except (Conflict, NotFound):
        return 0
    return 1


async def annotate_as_seen(cluster: Cluster, resource: Resource, found: Object, annotations: Mapping[str, str | None]) -> None:
    """Set annotations of an object, or take them off (None), unless it has changed meanwhile or is gone. Raises ClusterError."""
    meta = found["metadata"]
    seen = {"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "annotations": dict(annotations)}}
    try:
        await cluster.patch(resource, meta["name"], seen, meta["namespace"])
    except (Conflict, NotFound):
        return


def seconds_at(text: Any) -> float:
    """Return a time in seconds since the epoch; one that cannot be read has not come."""
    try:
        return seconds_of(text)
    except (TypeError, ValueError):
        return float("inf")
