"""From what should be there and what is there to what must be done; pure.

Invariants: an object that is not ours is never touched (it is a conflict, and said); equal states give no change, so that a
restart of the operator writes nothing. Policies go last, so that a server's pods are never unfenced. What somebody added to
a child counts as well as what he changed: `hostNetwork: true` or an open egress rule hides in a field that we never set.
Server-side apply leaves others' fields alone, so such a child is replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import msgspec

from wharfinger_crds import names
from wharfinger_crds.quantity import amount
from wharfinger_operator.child import Child
from wharfinger_operator.filled_in import KEPT_OF_SERVICE, is_filled_in
from wharfinger_operator.plan.egress import POLICY_KINDS
from wharfinger_operator.world import Key, Manifest, key_of

APPLIED: Final = f"{names.GROUP}/applied"
"""Annotation: hash of the manifest as it was applied; what was taken out of it shows here and nowhere else."""
_DELETE_ORDER: Final = ("Deployment", "Service", "ConfigMap", "Secret", "ServiceAccount", *POLICY_KINDS)

_CLOSED_PARTS: Final = frozenset({"spec", "data", "automountServiceAccountToken"})
_QUANTITIES: Final = (".resources.limits.", ".resources.requests.", ".emptyDir.sizeLimit")


@dataclass(frozen=True)
class Changes:
    """What must be done, in order."""

    apply: tuple[dict[str, Any], ...] = ()
    replace: tuple[dict[str, Any], ...] = ()
    """Children to which somebody added something; with the resource version that was looked at."""
    delete: tuple[Manifest, ...] = ()
    remake: tuple[Manifest, ...] = ()
    """Live children that must be deleted before they are applied: what is wrong with them cannot be changed."""


def diff(
    desired: Sequence[dict[str, Any]] | None,
    owned: Iterable[Manifest],
    existing: frozenset[Key] = frozenset(),
    answers: Mapping[Key, str] = MappingProxyType({}),
    spares: Callable[[Manifest], bool] = lambda _: False,
) -> Changes:
    """Return the changes from `owned` to `desired`; None changes nothing.

    `existing` are immutable objects named by their contents: where they are there, they are right. `answers` are the states that our own
    last writes had; a child that still is in that state would only come back so. What `spares` names is not deleted.
    """
    if desired is None:
        return Changes()
    live = {key_of(manifest): manifest for manifest in owned}
    apply, replace, remake = [], [], []
    wanted = set()
    for manifest in desired:
        key, made = key_of(manifest), stamped(manifest)
        found = live.get(key)
        wanted.add(key)
        if found is None:
            if key not in existing:
                apply.append(made)
        elif _is_known_to_be_as(made, found) or (answers and is_answered(manifest, found, answers)):
            continue
        elif is_frozen(manifest, found):
            remake.append(found)
            apply.append(made)
        elif added(manifest, found):
            replace.append(_replacement(made, found))
        elif found["metadata"].get("deletionTimestamp") or missing(made, found):
            apply.append(made)
        elif isinstance(found, Child):
            found.compared.stamp = stamp_of(made)
    surplus = [m for key, m in live.items() if key not in wanted and not m["metadata"].get("deletionTimestamp") and not spares(m)]
    return Changes(
        apply=tuple(apply),
        replace=tuple(replace),
        delete=tuple(sorted(surplus, key=lambda m: (_DELETE_ORDER.index(m["kind"]), key_of(m)))),
        remake=tuple(remake),
    )


def stamped(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with the hash of itself as annotation."""
    digest = hashlib.sha256(msgspec.json.encode(manifest, order="sorted")).hexdigest()[:32]
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), APPLIED: digest}}}


def is_settled(desired: dict[str, Any], live: Manifest | None) -> bool:
    """Tell whether the live object says everything that the desired one says, and was applied from it."""
    return live is not None and not live["metadata"].get("deletionTimestamp") and not missing(stamped(desired), live)


def is_answered(desired: dict[str, Any], live: Manifest | None, answers: Mapping[Key, str]) -> bool:
    """Tell whether the live object is as the API server made it of our own last write of the desired one."""
    answer = answers.get(key_of(desired))
    if answer is None or live is None or live["metadata"].get("deletionTimestamp"):
        return False
    return answer == state_of(live) and stamp_of(live) == stamp_of(stamped(desired))


def state_of(live: Manifest) -> str:
    """Return a hash of the parts of an object in which nothing may be that we did not write."""
    parts = {**{part: live[part] for part in live.keys() & _CLOSED_PARTS}, "labels": live["metadata"].get("labels", {})}
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def stamp_of(manifest: Manifest) -> str | None:
    """Return the hash of the manifest from which an object was applied."""
    stamp: str | None = manifest["metadata"].get("annotations", {}).get(APPLIED)
    return stamp


def added(desired: Mapping[str, Any], live: Manifest) -> tuple[str, ...]:
    """Return the paths that somebody added to a live object, sorted; those that the API server fills in itself are not among them."""
    found: list[str] = []
    for part in desired.keys() & _CLOSED_PARTS:
        found += _added(live.get(part, {}), desired[part], part, desired["kind"])
    return tuple(sorted(set(found)))


def _added(live: object, desired: object, path: str, kind: str) -> list[str]:
    if live == desired:
        return []
    if isinstance(desired, list) and isinstance(live, list):
        found = [f"{path}[{len(desired)}]"] if len(live) > len(desired) else []
        for a, b in zip(live, desired, strict=False):
            if a != b:
                found += _added(a, b, f"{path}[]", kind)
        return found
    if not isinstance(desired, dict) or not isinstance(live, dict):
        return []
    found = []
    for key, value in live.items():
        if key in desired:
            if value != desired[key]:
                found += _added(value, desired[key], f"{path}.{key}", kind)
        elif not is_filled_in(kind, f"{path}.{key}", value):
            found.append(f"{path}.{key}")
    return found


def is_frozen(desired: Manifest, live: Manifest) -> bool:
    """Tell whether the API server lets nobody make of a live object what is desired: of a Secret, another type, or anything once immutable."""
    return desired["kind"] == "Secret" and (live.get("type", "Opaque") != desired["type"] or live.get("immutable") is True)


def missing(desired: Mapping[str, Any], live: Manifest) -> tuple[str, ...]:
    """Return the paths at which a live object does not say what the desired one says, sorted."""
    return tuple(sorted(set(_missing_in(live, desired, ""))))


def _missing_in(live: Mapping[str, Any], desired: Mapping[str, Any], path: str) -> list[str]:
    found: list[str] = []
    for key, value in desired.items():
        # Equal parts, most of what is compared, are not worth a path.
        if key in live and live[key] == value:
            continue
        below = f"{path}.{key}" if path else key
        if key in live:
            found += _missing(live[key], value, below)
        else:
            found.append(below)
    return found


def _missing(live: object, desired: object, path: str) -> list[str]:
    """Return the paths below two values that differ."""
    if isinstance(desired, dict) and isinstance(live, dict):
        return _missing_in(live, desired, path)
    if isinstance(desired, list) and isinstance(live, list) and len(live) == len(desired):
        return [each for a, b in zip(live, desired, strict=True) if a != b for each in _missing(a, b, f"{path}[]")]
    return [] if _is_quantity(path) and amount(live) is not None and amount(live) == amount(desired) else [path]


def _is_quantity(path: str) -> bool:
    return any(part in path for part in _QUANTITIES)


def _is_known_to_be_as(made: Manifest, live: Manifest) -> bool:
    return isinstance(live, Child) and live.compared.stamp == stamp_of(made)


def _replacement(manifest: dict[str, Any], live: Manifest) -> dict[str, Any]:
    kept = {key: value for key, value in live.get("spec", {}).items() if manifest["kind"] == "Service" and key in KEPT_OF_SERVICE}
    spec = {"spec": {**kept, **manifest["spec"]}} if "spec" in manifest else {}
    return {**manifest, **spec, "metadata": {**manifest["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}}
