"""Strategic merge of a partial Deployment spec, as the API server would do it (API conventions, "Strategic Merge Patch").

Maps are merged key by key, lists of objects by their merge key, every other list is replaced; null takes a key out. Unions keep
one member: who names another strategy, volume source or probe handler means it instead of ours. The `$patch` directives are not
known here: whoever calls has refused them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

MERGE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "protocol"),
    "topologySpreadConstraints": ("topologyKey",),
    "hostAliases": ("ip",),
}
"""Fields of a Deployment whose lists are merged, and by what."""
_DEFAULTS: Final = {"protocol": "TCP"}
_HANDLERS: Final = frozenset({"exec", "httpGet", "tcpSocket", "grpc", "sleep"})
_UNIONS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("readinessProbe", "livenessProbe", "startupProbe", "preStop", "postStart"), _HANDLERS),
    "volumes": frozenset({"emptyDir", "secret", "configMap"}),
    "valueFrom": frozenset({"fieldRef", "resourceFieldRef", "secretKeyRef", "configMapKeyRef"}),
    "env": frozenset({"value", "valueFrom"}),
}
"""Fields that hold one of several members."""

ItemKey = tuple[Any, ...]


def item_key(field: str, item: Any) -> ItemKey | None:
    """Return what identifies an item of a merged list; None where it lacks that, or the list is not a merged one."""
    if field not in MERGE_KEYS or not isinstance(item, Mapping):
        return None
    key = tuple(item.get(part, _DEFAULTS.get(part)) for part in MERGE_KEYS[field])
    return None if any(part is None or isinstance(part, Mapping | list) for part in key) else key


def merged(base: Mapping[str, Any], override: Mapping[str, Any], field: str = "") -> dict[str, Any]:
    """Return `base` with `override` on top; neither is edited. `field` is the one that the two stand in."""
    kept = _without_replaced_members(base, override, field)
    result = {key: value for key, value in kept.items() if key not in override}
    for key, value in override.items():
        if value is not None:
            result[key] = _merged_value(kept.get(key), value, key)
    # The order of the base is kept: a golden file, and a person, look for a field where it was.
    order = [*(key for key in base if key in result), *(key for key in result if key not in base)]
    return {key: result[key] for key in order}


def _merged_value(base: Any, value: Any, field: str) -> Any:
    if isinstance(value, Mapping):
        return merged(base if isinstance(base, Mapping) else {}, value, field)
    if isinstance(value, list) and field in MERGE_KEYS:
        return _merged_list(base if isinstance(base, list) else [], value, field)
    return value


def _merged_list(base: Sequence[Any], override: Sequence[Any], field: str) -> list[Any]:
    result = list(base)
    for item in override:
        key = item_key(field, item)
        place = next((i for i, have in enumerate(result) if key is not None and item_key(field, have) == key), None)
        if place is None:
            result.append(merged({}, item, field) if isinstance(item, Mapping) else item)
        else:
            result[place] = merged(result[place], item, field)
    return result


def _without_replaced_members(base: Mapping[str, Any], override: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """Leave out what the override replaces by naming another member of the same union."""
    if field == "strategy" and override.get("type", base.get("type")) != base.get("type"):
        return {}
    members = _UNIONS.get(field, frozenset())
    named = {key for key in members & override.keys() if override[key] is not None}
    return {key: value for key, value in base.items() if not named or key not in members - named}
