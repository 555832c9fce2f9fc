"""How copies of children are kept: packed, since a Deployment as dictionaries takes thirty times the memory of its compressed JSON.

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
_PACKED: Final = "packed"
_COMPARED: Final = "compared"
_OWNER: Final = "owner"
_ROLLS: Final = "rolls"
_CLOSES: Final = "closes"
_ID: Final = re.compile(r"[a-z2-7]{10}")
_CONNECTION: Final = "connection-"
_POD_STATUS: Final = ("conditions", "initContainerStatuses", "containerStatuses", "podIP")


def packed_child(found: Mapping[str, Any]) -> Copy:
    """Return the copy of a child, or of what somebody else put beside the children."""
    if not is_ours(found):
        return {**_slim(found), **({_CLOSES: True} if found["kind"] == "NetworkPolicy" and is_default_deny(found) else {})}
    rolls = {_ROLLS: True} if found["kind"] == "Deployment" and is_rolling(found) else {}
    return {**_slim(found), **rolls, _OWNER: installation_key(found), _PACKED: _packed(found), _COMPARED: Compared()}


def child(copy: Copy) -> Child:
    """Return the child of a copy."""
    meta = copy["metadata"]
    return Child((copy["kind"], meta["namespace"], meta["name"]), partial(unpacked, copy), copy[_COMPARED])


def packed_pod(found: Mapping[str, Any]) -> Copy:
    """Return the copy of a pod: what tells why it does not come up."""
    meta = {key: found["metadata"].get(key) for key in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp")}
    status = {key: value for key, value in found.get("status", {}).items() if key in _POD_STATUS}
    small = {"kind": "Pod", "metadata": meta, "status": status}
    return {**_slim(found), _OWNER: installation_key(found), _PACKED: _packed(small)}


def unpacked(copy: Copy) -> dict[str, Any]:
    """Return the object."""
    found: dict[str, Any] = msgspec.json.decode(zlib.decompress(copy[_PACKED]))
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


def _packed(found: Mapping[str, Any]) -> bytes:
    return zlib.compress(msgspec.json.encode(found), 1)


def _slim(found: Mapping[str, Any]) -> Copy:
    meta = found["metadata"]
    return {
        "kind": sys.intern(found["kind"]),
        "metadata": {
            "name": meta["name"], "namespace": sys.intern(meta["namespace"]), "uid": meta["uid"], "resourceVersion": meta["resourceVersion"],
        },
    }  # fmt: skip
