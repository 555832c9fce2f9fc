"""How copies of children are kept: packed, since a Deployment as dictionaries takes thirty times the memory of its compressed JSON.

Children of a kind say mostly the same, so the first one is what the others are packed against.

Whose child an object is, its name says, which nobody can change: each holds the id of its installation. What is not ours is
kept by name only, so that it is never taken over.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from wharfinger_crds import names
from wharfinger_operator.child import Child, Compared
from wharfinger_operator.ownership import is_ours
from wharfinger_operator.plan.default_deny import is_default_deny
from wharfinger_operator.plan.identity import InstallationKey, installation_key
from wharfinger_operator.plan.rollout import is_rolling

Copy = dict[str, Any]
_WINDOW: Final = 13
"""Of the compression, as a power of two: a child and its example. A small one takes less time to begin with than it saves in bytes."""
_PACKED: Final = "packed"
_OWNER: Final = "owner"
_ROLLS: Final = "rolls"
_CLOSES: Final = "closes"
_ID: Final = re.compile(r"[a-z2-7]{10}")
_CONNECTION: Final = "connection-"
_POD_STATUS: Final = ("conditions", "initContainerStatuses", "containerStatuses", "podIP")


class _Packing:
    """How children of one kind are packed."""

    __slots__ = ("_begun", "_example")

    def __init__(self, example: bytes) -> None:
        self._example = example
        self._begun = zlib.compressobj(1, zlib.DEFLATED, -_WINDOW, 5, zlib.Z_DEFAULT_STRATEGY, example)

    def pack(self, text: bytes) -> bytes:
        """Return a text that is much like the example, in fewer bytes."""
        packing = self._begun.copy()
        return packing.compress(text) + packing.flush()

    def unpack(self, packed: bytes) -> bytes:
        """Return the text."""
        return zlib.decompressobj(-_WINDOW, self._example).decompress(packed)


class _Packed(Compared):
    """A packed object, and what comparing it has shown."""

    __slots__ = ("data", "packing")

    def __init__(self, data: bytes, packing: _Packing) -> None:
        super().__init__()
        self.data = data
        self.packing = packing


_packings: Final[dict[str, _Packing]] = {}
"""By kind; made at the first sight of one."""


def packed_child(found: Mapping[str, Any]) -> Copy:
    """Return the copy of a child, or of what somebody else put beside the children."""
    if not is_ours(found):
        return {**_slim(found), **({_CLOSES: True} if found["kind"] == "NetworkPolicy" and is_default_deny(found) else {})}
    rolls = {_ROLLS: True} if found["kind"] == "Deployment" and is_rolling(found) else {}
    return {**_slim(found), **rolls, _OWNER: installation_key(found), _PACKED: _packed(found)}


def child(copy: Copy) -> Child:
    """Return the child of a copy."""
    meta = copy["metadata"]
    return Child((copy["kind"], meta["namespace"], meta["name"]), partial(unpacked, copy), copy[_PACKED])


def packed_pod(found: Mapping[str, Any]) -> Copy:
    """Return the copy of a pod: what tells why it does not come up."""
    meta = {key: found["metadata"].get(key) for key in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp")}
    status = {key: value for key, value in found.get("status", {}).items() if key in _POD_STATUS}
    small = {"kind": "Pod", "metadata": meta, "status": status}
    return {**_slim(found), _OWNER: installation_key(found), _PACKED: _packed(small)}


def unpacked(copy: Copy) -> dict[str, Any]:
    """Return the object."""
    packed: _Packed = copy[_PACKED]
    found: dict[str, Any] = msgspec.json.decode(packed.packing.unpack(packed.data))
    return found


def owner(copy: Copy) -> InstallationKey | None:
    """Return the installation that the labels name."""
    found: InstallationKey | None = copy.get(_OWNER)
    return found


def ids(copy: Copy) -> frozenset[str]:
    """Return the ids of installations whose child it may be: that in its name, else that of its labels; of a pod, that of its labels."""
    parts = copy["metadata"]["name"].removeprefix(_CONNECTION).split("-") if copy["kind"] != "Pod" else ()
    named = frozenset(part for part in parts if _ID.fullmatch(part))
    labelled = owner(copy)
    return named or (frozenset({names.installation_id(*labelled)}) if labelled else frozenset())


def rolls(copy: Copy) -> bool:
    """Tell whether it is a Deployment on its way to a revision."""
    return _ROLLS in copy


def is_stranger(copy: Copy) -> bool:
    """Tell whether it is no child, but what somebody else put beside the children."""
    return _PACKED not in copy


def closes(copy: Copy | None) -> bool:
    """Tell whether it is a policy, not one of ours, that closes its namespace for every pod."""
    return copy is not None and _CLOSES in copy


def _packed(found: Mapping[str, Any]) -> _Packed:
    packing = _packings.get(found["kind"])
    if packing is None:
        # Without values: the example outlives the object.
        packing = _packings[found["kind"]] = _Packing(msgspec.json.encode({**found, "data": {}}))
    return _Packed(packing.pack(msgspec.json.encode(found)), packing)


def _slim(found: Mapping[str, Any]) -> Copy:
    meta = found["metadata"]
    return {
        "kind": sys.intern(found["kind"]),
        "metadata": {
            "name": meta["name"], "namespace": sys.intern(meta["namespace"]), "uid": meta["uid"], "resourceVersion": meta["resourceVersion"],
        },
    }  # fmt: skip
