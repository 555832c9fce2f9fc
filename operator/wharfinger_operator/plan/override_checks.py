"""What is wrong with an entry's partial Deployment spec by itself: named checks in order, the first finding counts."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from wharfinger_bridge.command import MOUNT_PATH, TOKEN_MOUNT_PATH
from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.registry_entry import SelfHosted
from wharfinger_operator.plan.fields import placeholders
from wharfinger_operator.plan.override_paths import INSTEAD, SERVER, refused_paths

PLACE: Final = "spec.selfHosted.deployment"
GRACE: Final = {"Stdio": (30, 3600), "StreamableHTTP": (1, 3600)}
"""Seconds from SIGTERM to SIGKILL, by transport: a bridge needs 20 for its calls, 6 for its server, and the endpoints 3 before."""
_SIDECARS: Final = 8
_SHOWN: Final = 10
OWN_VOLUMES: Final = frozenset({"bridge", "bridge-token", "files"})
"""Volumes that an entry may neither touch nor mount; the size of `tmp` and `home` is its to choose."""
_ALLOWED_KEYS: Final = frozenset({
    "cluster-autoscaler.kubernetes.io/safe-to-evict", "kubectl.kubernetes.io/default-container",
    "app.kubernetes.io/name", "app.kubernetes.io/component", "app.kubernetes.io/part-of", "app.kubernetes.io/version",
})  # fmt: skip
_TAKEN_DOMAINS: Final = (
    # ours, and those of GitOps tools, which find by them what they own
    names.GROUP, "argoproj.io", "fluxcd.io", "helm.sh", "pod-template-hash",
    # Kubernetes: AppArmor and seccomp profiles, priorities of evictions
    "kubernetes.io", "k8s.io",
    # network plug-ins: another network or address is another egress
    "cni.cncf.io", "cilium.io", "io.cilium", "projectcalico.org", "antrea.io", "k8s.ovn.org", "multus-cni.io", "vpc.amazonaws.com", "gke.io", "kubeovn.io", "kube-router.io",
    # container runtimes: devices, user namespaces, other kernels
    "io.kubernetes.cri-o", "io.containerd", "io.katacontainers",
    # cloud identities, by which a pod gets credentials
    "iam.amazonaws.com", "eks.amazonaws.com", "azure.workload.identity", "aadpodidbinding", "iam.gke.io", "cloud.google.com",
)  # fmt: skip

Check = Callable[[SelfHosted, Mapping[str, Any]], Iterator[str]]


def pod_of(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the pod spec of a partial Deployment spec whose paths were found good."""
    return _map(_map(deployment.get("template")).get("spec"))


def grace_of(deployment: Mapping[str, Any]) -> int | None:
    """Return the seconds that a partial Deployment spec gives a pod to end, if it says so."""
    value = pod_of(deployment).get("terminationGracePeriodSeconds")
    return value if isinstance(value, int) else None


def sidecar_images(deployment: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the images of the containers that an entry adds, whatever shape its override has."""
    return tuple(sorted({str(found.get("image")) for _, found in _containers(deployment or {}) if found.get("image") is not None}))


def path_not_allowed(hosted: SelfHosted, deployment: Mapping[str, Any]) -> Iterator[str]:
    """Find paths that the table does not list."""
    for path in refused_paths(deployment, hosted.transport):
        instead = next(
            (field for prefix, field in INSTEAD.items() if path == prefix or path.startswith((f"{prefix}.", f"{prefix}["))), None
        )
        yield f"{path} (use {instead})" if instead else path


def label_taken(_: SelfHosted, deployment: Mapping[str, Any]) -> Iterator[str]:
    """Find labels and annotations that mean something to us, GitOps tools, the network, the runtime or a cloud."""
    metadata = _map(_map(deployment.get("template")).get("metadata"))
    for kind in ("labels", "annotations"):
        for key in _map(metadata.get(kind)):
            domain = key.partition("/")[0]
            if key not in _ALLOWED_KEYS and any(
                domain == taken or domain.startswith(f"{taken}.") or domain.endswith(f".{taken}") for taken in _TAKEN_DOMAINS
            ):
                yield f"template.metadata.{kind}.{key}"


def container_malformed(_: SelfHosted, deployment: Mapping[str, Any]) -> Iterator[str]:
    """Find containers that are ours, too many, without an image, or that restart otherwise than sidecars do."""
    added = tuple(_containers(deployment))
    if len(added) > _SIDECARS:
        yield f"template.spec has more than {_SIDECARS} containers beside {SERVER}"
    for path, container in added:
        if container.get("name") in {"bridge", SERVER}:
            yield f"{path} (the name is taken)"
        elif not isinstance(container.get("image"), str) or not container["image"]:
            yield f"{path}.image (is missing)"
        if container.get("restartPolicy", "Always") != "Always":
            yield f"{path}.restartPolicy"


def port_taken(_: SelfHosted, deployment: Mapping[str, Any]) -> Iterator[str]:
    """Find ports by which a sidecar would get the server's calls."""
    for path, container in _containers(deployment):
        for port in _list(container.get("ports")):
            if _map(port).get("name") == "mcp":
                yield f"{path}.ports[{port.get('containerPort')}].name (mcp is the server's)"


def volume_taken(_: SelfHosted, deployment: Mapping[str, Any]) -> Iterator[str]:
    """Find volumes of ours that are redefined."""
    for volume in _list(pod_of(deployment).get("volumes")):
        if _map(volume).get("name") in OWN_VOLUMES:
            yield f"template.spec.volumes[{volume['name']}] (the name is taken)"


def mount_taken(_: SelfHosted, deployment: Mapping[str, Any]) -> Iterator[str]:
    """Find mounts of our volumes, over our mounts, or at paths that can be read in two ways."""
    own = (MOUNT_PATH, TOKEN_MOUNT_PATH)
    containers = [*_containers(deployment), *((f"template.spec.containers[{SERVER}]", found) for found in _servers(deployment))]
    for path, container in containers:
        for mount in _list(container.get("volumeMounts")):
            target = _map(mount).get("mountPath")
            place = f"{path}.volumeMounts[{target}]"
            if not isinstance(target, str) or not target.startswith("/") or posixpath.normpath(target) != target or target == "/":
                yield f"{place}.mountPath"
            elif mount.get("name") in OWN_VOLUMES or any(target == taken or target.startswith(f"{taken}/") for taken in own):
                yield place


def grace_out_of_bounds(hosted: SelfHosted, deployment: Mapping[str, Any]) -> Iterator[str]:
    """Find times to end that the bridge cannot keep, or that hold up a node."""
    least, most = GRACE[hosted.transport]
    value = pod_of(deployment).get("terminationGracePeriodSeconds", least)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        yield f"template.spec.terminationGracePeriodSeconds (is not between {least} and {most})"


def field_not_rendered(_: SelfHosted, deployment: Mapping[str, Any]) -> Iterator[str]:
    """Find `${fields.NAME}`, which is not rendered there."""
    if placeholders(str(deployment)):
        yield "${fields.…} is not rendered there: use spec.selfHosted.env, args or files"


CHECKS: Final[tuple[Check, ...]] = (
    path_not_allowed,
    label_taken,
    container_malformed,
    port_taken,
    volume_taken,
    mount_taken,
    grace_out_of_bounds,
    field_not_rendered,
)


def override_problem(hosted: SelfHosted) -> c.Finding | None:
    """Return why an entry's partial Deployment spec cannot be merged (Accepted=False), or None."""
    deployment = hosted.deployment or {}
    for check in CHECKS:
        if found := sorted(set(check(hosted, deployment))):
            return c.false(c.ACCEPTED, c.OVERRIDE_NOT_ALLOWED, f"{PLACE} may not hold {listed(found)}")
    return None


def listed(found: list[str]) -> str:
    """Return a list for people, cut where it is long."""
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(text[:200] for text in found[:_SHOWN]) + more


def _containers(deployment: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield path and container of what is not the operator's own."""
    for kind in ("containers", "initContainers"):
        for container in _list(pod_of(deployment).get(kind)):
            found = _map(container)
            if kind == "initContainers" or found.get("name") != SERVER:
                yield f"template.spec.{kind}[{found.get('name')}]", found


def _servers(deployment: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (_map(found) for found in _list(pod_of(deployment).get("containers")) if _map(found).get("name") == SERVER)


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
