"""From what should be there and what is there to what must be done; pure.

Invariants: an object that is not ours is never touched (it is a conflict, and said); equal states give no change, so that a
restart of the operator writes nothing. Policies go last, so that a server's pods are never unfenced. What somebody added to
a child counts as well as what he changed: `hostNetwork: true` or an open egress rule hides in a field that we never set.
Server-side apply leaves others' fields alone, so such a child is replaced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from wharfinger_crds import names
from wharfinger_crds.quantity import amount
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
    wanted = {key_of(manifest) for manifest in desired}
    open_ = [m for m in desired if not is_answered(m, live.get(key_of(m)), answers)]
    remade = [m for m in open_ if key_of(m) in live and _is_frozen(m, live[key_of(m)])]
    pending = [m for m in open_ if key_of(m) not in existing and (m in remade or not is_settled(m, live.get(key_of(m))))]
    tampered = [m for m in open_ if m not in remade and key_of(m) in live and added(m, live[key_of(m)])]
    surplus = [m for key, m in live.items() if key not in wanted and not m["metadata"].get("deletionTimestamp") and not spares(m)]
    return Changes(
        apply=tuple(stamped(m) for m in pending if m not in tampered),
        replace=tuple(_replacement(m, live[key_of(m)]) for m in tampered),
        delete=tuple(sorted(surplus, key=lambda m: (_DELETE_ORDER.index(m["kind"]), key_of(m)))),
        remake=tuple(live[key_of(m)] for m in remade),
    )


def stamped(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with the hash of itself as annotation."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:32]
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
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


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
        extra = [f"{path}[{len(desired)}]"] if len(live) > len(desired) else []
        return [*extra, *(below for a, b in zip(live, desired, strict=False) for below in _added(a, b, f"{path}[]", kind))]
    if not isinstance(desired, Mapping) or not isinstance(live, Mapping):
        return []
    extra = [f"{path}.{key}" for key in live.keys() - desired.keys() if not is_filled_in(kind, f"{path}.{key}", live[key])]
    for key in live.keys() & desired.keys():
        extra += _added(live[key], desired[key], f"{path}.{key}", kind)
    return extra


def _is_frozen(desired: Manifest, live: Manifest) -> bool:
    # The API server lets nobody change the type of a Secret, nor a Secret that somebody made immutable.
    return desired["kind"] == "Secret" and (live.get("type", "Opaque") != desired["type"] or live.get("immutable") is True)


def missing(desired: Mapping[str, Any], live: Manifest) -> tuple[str, ...]:
    """Return the paths at which a live object does not say what the desired one says, sorted."""
    return tuple(sorted(set(_missing(live, desired, ""))))


def _missing(live: object, desired: object, path: str) -> Iterator[str]:
    if live == desired:
        return
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        for key, value in desired.items():
            below = f"{path}.{key}" if path else key
            if key in live:
                yield from _missing(live[key], value, below)
            else:
                yield below
    elif isinstance(desired, list) and isinstance(live, list) and len(live) == len(desired):
        for a, b in zip(live, desired, strict=True):
            yield from _missing(a, b, f"{path}[]")
    elif live != desired and not (_is_quantity(path) and amount(live) is not None and amount(live) == amount(desired)):
        yield path


def _is_quantity(path: str) -> bool:
    return any(part in path for part in _QUANTITIES)


def _replacement(desired: dict[str, Any], live: Manifest) -> dict[str, Any]:
    manifest = stamped(desired)
    kept = {key: value for key, value in live.get("spec", {}).items() if manifest["kind"] == "Service" and key in KEPT_OF_SERVICE}
    spec = {"spec": {**kept, **manifest["spec"]}} if "spec" in manifest else {}
    return {**manifest, **spec, "metadata": {**manifest["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}}
