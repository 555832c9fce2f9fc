"""What Flux and other users of kstatus make of an object."""

from collections.abc import Mapping
from typing import Any


def kstatus(found: Mapping[str, Any]) -> str:
    """The algorithm of sigs.k8s.io/cli-utils, kstatus, for custom resources."""
    metadata, status = found["metadata"], found.get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", metadata["generation"]) != metadata["generation"] or conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"
