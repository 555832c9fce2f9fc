"""What makes a running server another revision: an upgraded operator alone does not.

The bridge's image comes from the platform settings, so every upgrade names another. A running server keeps the one that it
has until its pods change for another reason. What it has is believed only with proof, or an edit of it would be kept.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any, Final

from wharfinger_crds import names
from wharfinger_operator.world import Manifest, key_of

REVISION: Final = f"{names.GROUP}/revision"
"""Annotation of a Deployment: HMAC of its pod template, the bridge's image included."""
BRIDGE: Final = "bridge"
"""The init container that brings the bridge."""


def with_running_bridge(parts: Sequence[dict[str, Any]], owned: Sequence[Manifest], root_key: bytes) -> tuple[dict[str, Any], ...]:
    """Return the parts of a workload with the bridge that its live Deployment has, where nothing else of its pods changes."""
    return tuple(_deployment(part, owned, root_key) if part["kind"] == "Deployment" else part for part in parts)


def is_other_revision(desired: Manifest, live: Manifest) -> bool:
    """Tell whether applying a Deployment in place of the live one would roll its pods."""
    return _proof_of(desired) != _proof_of(live)


def _deployment(desired: dict[str, Any], owned: Sequence[Manifest], root_key: bytes) -> dict[str, Any]:
    live = next((o for o in owned if key_of(o) == key_of(desired)), None)
    running, proof = _bridge(live) if live else None, _proof(desired, root_key)
    if live is not None and running is not None and _bridge(desired) not in {None, running}:
        kept = _with_bridge(desired, running)
        if hmac.compare_digest(kept_proof := _proof(kept, root_key), _proof_of(live)):
            desired, proof = kept, kept_proof
    metadata = desired["metadata"]
    annotations = {**metadata.get("annotations", {}), REVISION: proof}
    return {**desired, "metadata": {**metadata, "annotations": annotations}}


def _bridge(deployment: Manifest) -> str | None:
    containers = deployment["spec"]["template"]["spec"].get("initContainers", ())
    return next((str(container["image"]) for container in containers if container["name"] == BRIDGE), None)


def _with_bridge(deployment: dict[str, Any], image: str) -> dict[str, Any]:
    template = deployment["spec"]["template"]
    containers = [{**each, "image": image} if each["name"] == BRIDGE else each for each in template["spec"]["initContainers"]]
    pod = {**template["spec"], "initContainers": containers}
    return {**deployment, "spec": {**deployment["spec"], "template": {**template, "spec": pod}}}


def _proof(deployment: Manifest, root_key: bytes) -> str:
    template = json.dumps(deployment["spec"]["template"], sort_keys=True)
    return hmac.new(root_key, f"revision\0{template}".encode(), hashlib.sha256).hexdigest()[:32]


def _proof_of(live: Manifest) -> str:
    return str(live["metadata"].get("annotations", {}).get(REVISION, ""))
