"""The pod of a server, with everybody's wishes: built-in, then the platform's, the environment's and the entry's, the later one winning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wharfinger_crds.pod_defaults import PodDefaults
from wharfinger_operator.plan.override_paths import SERVER
from wharfinger_operator.plan.strategic_merge import merged

CONTAINER_SECURITY: Final = {
    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]},
}  # fmt: skip
SMALL_RESOURCES: Final = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}}
"""Of the bridge's installer, and of a sidecar that says nothing."""
_VOLUME_SIZE: Final = "512Mi"
_INSTALLER: Final = "bridge"
_ABSENT: Final[Mapping[str, tuple[Any, ...]]] = {
    **dict.fromkeys(("minReadySeconds", "initialDelaySeconds"), (0,)), "readOnly": (False,),
    **dict.fromkeys(("value", "subPath", "workingDir", "priorityClassName", "medium", "key", "operator", "effect"), ("",)),
}  # fmt: skip
"""What the API server stores by leaving it out; written, it would be missing for ever."""
_VERBATIM: Final = frozenset({"labels", "annotations", "nodeSelector", "matchLabels", "limits", "requests"})
_NESTED: Final = (dict, list)
_MEANT_WHEN_EMPTY: Final = frozenset({"emptyDir", "podSelector", "namespaceSelector", "labelSelector"})


def with_settings(spec: Mapping[str, Any], defaults: tuple[PodDefaults | None, ...], override: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a Deployment's spec with pod defaults and an entry's partial spec merged in, in this order."""
    for layer in defaults:
        spec = merged(spec, default_spec(layer)) if layer else spec
    if override:
        spec = merged(spec, override)
    completed: dict[str, Any] = _without_absent(_completed(spec))
    return completed


def default_spec(defaults: PodDefaults) -> dict[str, Any]:
    """Return pod defaults as a partial Deployment spec; their resources are the server's."""
    pod = defaults.manifest()
    resources = pod.pop("resources", None)
    containers = [{"name": SERVER, "resources": resources}] if resources else []
    return {"template": {"spec": {**pod, **({"containers": containers} if containers else {})}}}


def _completed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Add what the operator gives to whatever an entry adds: hardening and limits, sizes, and the selector of its own pods."""
    pod = spec["template"]["spec"]
    selector = spec["selector"]
    changed: dict[str, Any] = {kind: [_container(found) for found in pod[kind]] for kind in ("initContainers", "containers") if kind in pod}
    changed["volumes"] = [_volume(volume) for volume in pod["volumes"]]
    if "topologySpreadConstraints" in pod:
        changed["topologySpreadConstraints"] = [{"labelSelector": selector, **found} for found in pod["topologySpreadConstraints"]]
    return {**spec, "template": {**spec["template"], "spec": {**pod, **changed}}}


def _container(container: Mapping[str, Any]) -> Mapping[str, Any]:
    if container.get("name") in {SERVER, _INSTALLER}:
        return container
    security = merged(CONTAINER_SECURITY, container.get("securityContext") or {})
    return {**container, "resources": merged(SMALL_RESOURCES, container.get("resources") or {}), "securityContext": security}


def _volume(volume: Mapping[str, Any]) -> Mapping[str, Any]:
    empty = volume.get("emptyDir")
    return {**volume, "emptyDir": {"sizeLimit": _VOLUME_SIZE, **empty}} if isinstance(empty, Mapping) else volume


def _without_absent(value: Any) -> Any:
    """Leave out what the API server leaves out: empty lists and maps that mean nothing, and zero values of optional fields."""
    if isinstance(value, list):
        return [_without_absent(item) if isinstance(item, _NESTED) else item for item in value]
    kept: dict[str, Any] = {}
    for key, found in value.items():
        if isinstance(found, _NESTED):
            below = found if key in _VERBATIM else _without_absent(found)
            if below or key in _MEANT_WHEN_EMPTY:
                kept[key] = below
        elif key not in _ABSENT or not _is_absent(key, found):
            kept[key] = found
    return kept


def _is_absent(key: str, value: Any) -> bool:
    return any(value == absent and type(value) is type(absent) for absent in _ABSENT[key])
