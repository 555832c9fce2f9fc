"""What an entry's partial Deployment spec may name: a table of paths. Everything else is refused by its path.

`*` stands for one key, `[]` for an item of a merged list, `**` for whatever is below. `server` is the container that the operator
makes; containers of another name are sidecars. Volumes are emptyDirs: a claim would be shared by installations of different owners, and
every other source reads something of the node or the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wharfinger_crds import names
from wharfinger_operator.plan.strategic_merge import MERGE_KEYS, item_key

SERVER: Final = names.SERVER_CONTAINER
"""Name of the container that the operator makes."""

Path = tuple[str, ...]

_TIMES: Final = ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold")
_HANDLER: Final = ("exec.command", "httpGet.path", "httpGet.port", "httpGet.scheme", "tcpSocket.port", "grpc.port", "grpc.service")
_PROBES: Final = ("readinessProbe", "livenessProbe", "startupProbe")
_MOUNT: Final = tuple(f"volumeMounts.[].{key}" for key in ("name", "mountPath", "subPath", "readOnly"))
_USER: Final = ("runAsUser", "runAsGroup")
_ANY_CONTAINER: Final = (
    "resources.limits.*", "resources.requests.*", "workingDir", *_MOUNT, *(f"securityContext.{key}" for key in (*_USER, "readOnlyRootFilesystem")),
)  # fmt: skip
_STDIO_SERVER: Final = (*_ANY_CONTAINER, *(f"{probe}.{key}" for probe in _PROBES[:2] for key in _TIMES))
_HTTP_SERVER: Final = (*_ANY_CONTAINER, *(f"{probe}.{key}" for probe in _PROBES for key in (*_TIMES, *_HANDLER)))
_SIDECAR: Final = (
    *_HTTP_SERVER, "name", "image", "imagePullPolicy", "command", "args", "env.[].name", "env.[].value",
    *(f"env.[].valueFrom.{key}" for key in ("fieldRef.fieldPath", "resourceFieldRef.resource", "resourceFieldRef.containerName")),
    *(f"ports.[].{key}" for key in ("containerPort", "protocol", "name")),
    *(f"lifecycle.{hook}.{key}" for hook in ("preStop", "postStart") for key in ("exec.command", "sleep.seconds")),
)  # fmt: skip
_POD: Final = (
    "nodeSelector.*", "tolerations", "affinity.**", "topologySpreadConstraints.[].**", "priorityClassName", "runtimeClassName",
    "terminationGracePeriodSeconds", "hostAliases.[].ip", "hostAliases.[].hostnames",
    *(f"dnsConfig.{key}" for key in ("nameservers", "searches", "options")),
    "volumes.[].name", "volumes.[].emptyDir.medium", "volumes.[].emptyDir.sizeLimit",
    *(f"securityContext.{key}" for key in (*_USER, "fsGroup", "supplementalGroups", "fsGroupChangePolicy")),
)  # fmt: skip
_DEPLOYMENT: Final = (
    "strategy.type", *(f"strategy.rollingUpdate.{key}" for key in ("maxSurge", "maxUnavailable")), "minReadySeconds", "progressDeadlineSeconds",
    "template.metadata.labels.*", "template.metadata.annotations.*", *(f"template.spec.{path}" for path in _POD),
    *(f"template.spec.containers.[].{path}" for path in _SIDECAR), *(f"template.spec.initContainers.[].{path}" for path in (*_SIDECAR, "restartPolicy")),
)  # fmt: skip

INSTEAD: Final[Mapping[str, str]] = {
    "replicas": "spec.selfHosted.replicas",
    **{f"template.spec.containers[{SERVER}].{key}": f"spec.selfHosted.{key}" for key in ("image", "command", "args", "env")},
    f"template.spec.containers[{SERVER}].ports": "spec.selfHosted.http.port",
    "template.spec.imagePullSecrets": "spec.selfHosted.imagePullSecrets",
}
"""Where a refused path has a field of its own."""

_REMOVABLE: Final = frozenset({*_PROBES, "rollingUpdate", "exec", "httpGet", "tcpSocket", "grpc"})
"""What null takes out whole."""
_CONTAINERS: Final = ("template", "spec", "containers")
_NOWHERE: Final = ("",)
_DEEPEST: Final = 24
_MOST: Final = 1024


def _table(paths: tuple[str, ...]) -> tuple[Path, ...]:
    return tuple(tuple(path.split(".")) for path in paths)


_ALLOWED: Final = _table(_DEPLOYMENT)
_SERVER_ALLOWED: Final = {"Stdio": _table(("name", *_STDIO_SERVER)), "StreamableHTTP": _table(("name", *_HTTP_SERVER))}


def refused_paths(deployment: Mapping[str, Any], transport: str) -> tuple[str, ...]:
    """Return the paths of a partial Deployment spec that may not stand there, or not in this form; sorted."""
    if _is_endless(deployment):
        return (f"more than {_MOST} values, or more than {_DEEPEST} of them inside of one another",)
    found: list[str] = []
    for shown, path, value, table in _leaves(deployment, "", (), _ALLOWED, _SERVER_ALLOWED[transport]):
        if value in ({}, None) and path and path[-1] in _REMOVABLE and any(_leads_to(path, allowed) for allowed in table):
            continue
        if not (value == {} and any(_leads_to(path, a) for a in table)) and not any(_matches(path, a) for a in table):
            found.append(shown)
    return tuple(sorted(set(found)))


Leaf = tuple[str, Path, Any, tuple[Path, ...]]


def _leaves(value: Any, shown: str, path: Path, table: tuple[Path, ...], of_server: tuple[Path, ...]) -> Iterator[Leaf]:
    """Yield path for people, path in the table, value, and the table that counts."""
    if path and any(_leads_to((*path, "[]"), allowed) for allowed in table):
        yield from _items(value, shown, path, table, of_server)
    elif isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _leaves(below, f"{shown}.{key}" if shown else str(key), (*path, str(key)), table, of_server)
    else:
        yield shown, path, value, table


def _items(value: Any, shown: str, path: Path, table: tuple[Path, ...], of_server: tuple[Path, ...]) -> Iterator[Leaf]:
    if not isinstance(value, list):
        yield f"{shown} (is no list)", _NOWHERE, value, table
        return
    for number, item in enumerate(value):
        key = item_key(path[-1], item)
        if key is None:
            yield f"{shown}[{number}] (has no {MERGE_KEYS[path[-1]][0]})", _NOWHERE, item, table
        elif path == _CONTAINERS and key == (SERVER,):
            yield from _leaves(item, f"{shown}[{SERVER}]", (), of_server, of_server)
        else:
            yield from _leaves(item, f"{shown}[{key[0]}]", (*path, "[]"), table, of_server)


def _is_endless(value: Any) -> bool:
    seen, level = 0, [value]
    for _ in range(_DEEPEST):
        level = [
            b for found in level if isinstance(found, Mapping | list) for b in (found.values() if isinstance(found, Mapping) else found)
        ]
        seen += len(level)
        if not level or seen > _MOST:
            break
    return bool(level)


def _matches(path: Path, allowed: Path) -> bool:
    if allowed[-1] == "**":
        return len(path) >= len(allowed) and _leads_to(path[: len(allowed) - 1], allowed)
    return len(path) == len(allowed) and _leads_to(path, allowed)


def _leads_to(path: Path, allowed: Path) -> bool:
    return len(path) <= len(allowed) and all(
        have == want or (want == "*" and have != "[]") for have, want in zip(path, allowed, strict=False)
    )
