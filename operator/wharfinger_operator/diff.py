"""From what should be there and what is there to what must be done; pure.

Invariants: an object that is not ours is never touched (it is a conflict, and said); equal states give no change, so that a
restart of the operator writes nothing. Policies go last, so that a server's pods are never unfenced. What somebody added to
a child counts as well as what he changed: `hostNetwork: true` or an open egress rule hides in a field that we never set.
Server-side apply leaves others' fields alone, so such a child is replaced.
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

_CLOSED_PARTS: Final = frozenset({"spec", "data", "automountServiceAccountToken"})
_KEPT_OF_SERVICE: Final = frozenset({"clusterIP", "clusterIPs"})
_POD: Final = "spec.template.spec"
_CONTAINER_FILLED_IN: Final = (
    "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "ports[].protocol",
    "readinessProbe.successThreshold", "livenessProbe.successThreshold", "readinessProbe.httpGet.scheme", "livenessProbe.httpGet.scheme",
)  # fmt: skip
_FILLED_IN: Final[Mapping[str, frozenset[str]]] = {
    "Deployment": frozenset({
        "spec.template.metadata.creationTimestamp",
        *(f"{_POD}.{key}" for key in ("restartPolicy", "dnsPolicy", "schedulerName", "serviceAccount")),
        *(f"{_POD}.{kind}[].{key}" for kind in ("containers", "initContainers") for key in _CONTAINER_FILLED_IN),
    }),
    "Service": frozenset(
        f"spec.{key}" for key in (*_KEPT_OF_SERVICE, "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy", "sessionAffinity", "trafficDistribution")
    ),
}  # fmt: skip
"""What the API server adds by itself (its defaults), by kind."""

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Changes:
    """What must be done, in order."""

    apply: tuple[dict[str, Any], ...] = ()
    replace: tuple[dict[str, Any], ...] = ()
    """Children to which somebody added something; with the resource version that was looked at."""
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
    pending = [m for m in desired if key_of(m) not in existing and not is_settled(m, live.get(key_of(m)))]
    tampered = [m for m in desired if key_of(m) in live and added(m, live[key_of(m)])]
    surplus = [manifest for key, manifest in live.items() if key not in wanted and not manifest["metadata"].get("deletionTimestamp")]
    return Changes(
        apply=tuple(stamped(m) for m in pending if m not in tampered),
        replace=tuple(_replacement(m, live[key_of(m)]) for m in tampered),
        delete=tuple(sorted(surplus, key=lambda m: (_DELETE_ORDER.index(m["kind"]), key_of(m)))),
    )


def stamped(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with the hash of itself as annotation."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:32]
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), APPLIED: digest}}}


def is_settled(desired: dict[str, Any], live: Manifest | None) -> bool:
    """Tell whether the live object says everything that the desired one says, and was applied from it."""
    return live is not None and not live["metadata"].get("deletionTimestamp") and _covers(live, stamped(desired))


def added(desired: Mapping[str, Any], live: Manifest) -> tuple[str, ...]:
    """Return the paths that somebody added to a live object, sorted; those that the API server fills in itself are not among them."""
    found: list[str] = []
    for part in desired.keys() & _CLOSED_PARTS:
        found += _added(live.get(part, {}), desired[part], part, _FILLED_IN.get(desired["kind"], frozenset()))
    return tuple(sorted(found))


def _added(live: object, desired: object, path: str, filled_in: frozenset[str]) -> list[str]:
    if live == desired:
        return []
    if isinstance(desired, list) and isinstance(live, list):
        if len(live) > len(desired):
            return [f"{path}[]"]
        return [extra for a, b in zip(live, desired, strict=False) for extra in _added(a, b, f"{path}[]", filled_in)]
    if not isinstance(desired, dict) or not isinstance(live, dict):
        return []
    extra = [f"{path}.{key}" for key in live.keys() - desired.keys() if f"{path}.{key}" not in filled_in]
    for key in live.keys() & desired.keys():
        extra += _added(live[key], desired[key], f"{path}.{key}", filled_in)
    return extra


def _replacement(desired: dict[str, Any], live: Manifest) -> dict[str, Any]:
    manifest = stamped(desired)
    kept = {key: value for key, value in live.get("spec", {}).items() if manifest["kind"] == "Service" and key in _KEPT_OF_SERVICE}
    spec = {"spec": {**kept, **manifest["spec"]}} if "spec" in manifest else {}
    return {**manifest, **spec, "metadata": {**manifest["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}}


def _covers(live: object, desired: object) -> bool:
    if live == desired:
        return True
    if isinstance(desired, dict):
        return isinstance(live, dict) and all(key in live and _covers(live[key], value) for key, value in desired.items())
    if isinstance(desired, list):
        return isinstance(live, list) and len(live) == len(desired) and all(_covers(a, b) for a, b in zip(live, desired, strict=True))
    return False
