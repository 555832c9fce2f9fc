"""From what should be there and what is there to what must be done; pure.

Invariants: an object that is not ours is never touched (it is a conflict, and said); equal states give no change, so that a
restart of the operator writes nothing. Policies go last, so that a server's pods are never unfenced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wharfinger_crds import names
from wharfinger_operator.world import Manifest

APPLIED: Final = f"{names.GROUP}/applied"
"""Annotation: hash of the manifest as it was applied; what was taken out of it shows here and nowhere else."""
_DELETE_ORDER: Final = ("Deployment", "Service", "ConfigMap", "Secret", "ServiceAccount", "NetworkPolicy")

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Changes:
    """What must be done, in order."""

    apply: tuple[dict[str, Any], ...] = ()
    delete: tuple[Manifest, ...] = ()


def key_of(manifest: Manifest) -> Key:
    """Return kind, namespace and name."""
    return (manifest["kind"], manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])


def diff(desired: Sequence[dict[str, Any]] | None, owned: Iterable[Manifest], existing: frozenset[Key] = frozenset()) -> Changes:
    """Return the changes from `owned` to `desired`; None changes nothing.

    `existing` are immutable objects named by their contents: where they are there, they are right.
    """
    if desired is None:
        return Changes()
    live = {key_of(manifest): manifest for manifest in owned}
    wanted = {key_of(manifest) for manifest in desired}
    apply = tuple(stamped(m) for m in desired if key_of(m) not in existing and not is_settled(m, live.get(key_of(m))))
    surplus = [manifest for key, manifest in live.items() if key not in wanted and not manifest["metadata"].get("deletionTimestamp")]
    return Changes(apply, tuple(sorted(surplus, key=lambda m: (_DELETE_ORDER.index(m["kind"]), key_of(m)))))


def stamped(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with the hash of itself as annotation."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:32]
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), APPLIED: digest}}}


def is_settled(desired: dict[str, Any], live: Manifest | None) -> bool:
    """Tell whether the live object says everything that the desired one says, and was applied from it."""
    return live is not None and not live["metadata"].get("deletionTimestamp") and _covers(live, stamped(desired))


def _covers(live: object, desired: object) -> bool:
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and all(key in live and _covers(live[key], value) for key, value in desired.items())
    if isinstance(desired, list):
        return isinstance(live, list) and len(live) == len(desired) and all(_covers(a, b) for a, b in zip(live, desired, strict=True))
    return live == desired
