"""What no pod of a server may have, whoever asked for it: named checks over the pod as it will be applied.

The restricted Pod Security Standard and more: numeric users, limits, and no Secret but the declared. Each check yields the paths that break
its rule; nothing is dropped silently. The table of allowed paths refuses most of it before; these rules hold without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from wharfinger_crds import conditions as c
from wharfinger_crds.quantity import amount
from wharfinger_operator.plan.identity import Identity
from wharfinger_operator.plan.override_checks import OWN_VOLUMES, listed
from wharfinger_operator.plan.override_paths import SERVER

FIRST_USER: Final = 1000
"""Lower ones belong to system users of images and nodes; what the operator sets itself is above 10000."""
_INSTALLER: Final = "bridge"
_POD_FIELDS: Final = frozenset({
    "runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy", "supplementalGroups", "seccompProfile",
})  # fmt: skip
_CONTAINER_FIELDS: Final = frozenset({
    "allowPrivilegeEscalation", "readOnlyRootFilesystem", "runAsNonRoot", "runAsUser", "runAsGroup", "capabilities",
})  # fmt: skip
_REFERENCES: Final = frozenset({"secretKeyRef", "configMapKeyRef"})


@dataclass(frozen=True)
class Subject:
    """A Deployment to check, and what belongs to it."""

    deployment: Mapping[str, Any]
    account: str
    """Name of the server's ServiceAccount."""
    selector: Mapping[str, str]
    declared: frozenset[str]
    """Names of the Secrets and ConfigMaps that the operator makes beside it."""

    @cached_property
    def pod(self) -> Mapping[str, Any]:
        """The pod's spec."""
        return _map(_map(self.deployment["spec"].get("template")).get("spec"))

    @cached_property
    def containers(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """Path and container, for every sort of container."""
        kinds = ("containers", "initContainers", "ephemeralContainers")
        return tuple((f"{kind}[{_map(each).get('name')}]", _map(each)) for kind in kinds for each in _list(self.pod.get(kind)))


def subject_of(identity: Identity, parts: Iterable[Mapping[str, Any]]) -> Subject:
    """Return the Deployment among the objects of a workload as the subject of checks."""
    objects = tuple(parts)
    deployment = next(part for part in objects if part["kind"] == "Deployment")
    declared = frozenset(part["metadata"]["name"] for part in objects if part["kind"] in {"Secret", "ConfigMap"})
    return Subject(deployment, identity.server, identity.selector, declared)


Check = Callable[[Subject], Iterator[str]]


def host_namespace(subject: Subject) -> Iterator[str]:
    """Find pods that share a namespace of the node, or of their own processes."""
    for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if subject.pod.get(key):
            yield key


def host_port(subject: Subject) -> Iterator[str]:
    """Find ports of the node."""
    for path, container in subject.containers:
        for port in _list(container.get("ports")):
            if _map(port).get("hostPort") or _map(port).get("hostIP"):
                yield f"{path}.ports[{port.get('containerPort')}].hostPort"


def foreign_account(subject: Subject) -> Iterator[str]:
    """Find an identity towards the API server that is not the server's own, or a token of it."""
    if subject.pod.get("serviceAccountName") != subject.account or subject.pod.get("serviceAccount", subject.account) != subject.account:
        yield "serviceAccountName"
    if subject.pod.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken"


def foreign_volume(subject: Subject) -> Iterator[str]:
    """Find volumes other than emptyDirs of a declared size and declared Secrets."""
    for volume in map(_map, _list(subject.pod.get("volumes"))):
        path, sources = f"volumes[{volume.get('name')}]", volume.keys() - {"name"}
        empty = _map(volume.get("emptyDir"))
        if sources == {"emptyDir"}:
            if not (amount(empty.get("sizeLimit")) or 0) > 0:
                yield f"{path}.emptyDir.sizeLimit (is missing)"
        elif sources != {"secret"} or _map(volume["secret"]).get("secretName") not in subject.declared:
            yield f"{path}.{', '.join(sorted(sources)) or 'emptyDir (is missing)'}"


def foreign_mount(subject: Subject) -> Iterator[str]:
    """Find containers that mount what is for the server or its bridge alone, or a device."""
    for path, container in subject.containers:
        if container.get("volumeDevices"):
            yield f"{path}.volumeDevices"
        for mount in map(_map, _list(container.get("volumeMounts"))):
            if mount.get("name") in OWN_VOLUMES and path not in {f"containers[{SERVER}]", f"initContainers[{_INSTALLER}]"}:
                yield f"{path}.volumeMounts[{mount.get('mountPath')}]"
            if mount.get("mountPropagation") or mount.get("subPathExpr"):
                yield f"{path}.volumeMounts[{mount.get('mountPath')}].{'mountPropagation' if mount.get('mountPropagation') else 'subPathExpr'}"


def foreign_secret(subject: Subject) -> Iterator[str]:
    """Find environments that come from undeclared Secrets and ConfigMaps, or from whole ones."""
    for path, container in subject.containers:
        if container.get("envFrom"):
            yield f"{path}.envFrom"
        for env in map(_map, _list(container.get("env"))):
            for kind, ref in _map(env.get("valueFrom")).items():
                if kind not in {"fieldRef", "resourceFieldRef"} and not (kind in _REFERENCES and _map(ref).get("name") in subject.declared):
                    yield f"{path}.env[{env.get('name')}].valueFrom.{kind}"


def root_user(subject: Subject) -> Iterator[str]:
    """Find users and groups that are not numeric, or that a node knows."""
    security = _map(subject.pod.get("securityContext"))
    if security.get("runAsNonRoot") is not True:
        yield "securityContext.runAsNonRoot"
    contexts = [("", security), *((f"{path}.", _map(found.get("securityContext"))) for path, found in subject.containers)]
    for path, context in contexts:
        if context.get("runAsNonRoot", True) is not True:
            yield f"{path}securityContext.runAsNonRoot"
        for key in ("runAsUser", "runAsGroup", "fsGroup"):
            if (key in context or (key == "runAsUser" and not path)) and not _is_user(context.get(key)):
                yield f"{path}securityContext.{key} (is not a number from {FIRST_USER} up)"
    if not all(map(_is_user, security.get("supplementalGroups", []))):
        yield f"securityContext.supplementalGroups (has one that is not a number from {FIRST_USER} up)"


def privilege(subject: Subject) -> Iterator[str]:
    """Find containers that may become more than they are."""
    for path, container in subject.containers:
        context = _map(container.get("securityContext"))
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{path}.securityContext.allowPrivilegeEscalation"
        if _map(context.get("capabilities")) != {"drop": ["ALL"]}:
            yield f"{path}.securityContext.capabilities"


def unconfined(subject: Subject) -> Iterator[str]:
    """Find pods without the runtime's seccomp profile, and every other security setting: sysctls, procMount, SELinux, Windows."""
    security = _map(subject.pod.get("securityContext"))
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "securityContext.seccompProfile"
    yield from (f"securityContext.{key}" for key in security.keys() - _POD_FIELDS)
    for path, container in subject.containers:
        for key in _map(container.get("securityContext")).keys() - _CONTAINER_FIELDS:
            yield f"{path}.securityContext.{key}"


def writable_root(subject: Subject) -> Iterator[str]:
    """Find root file systems that are written to without a limit; of the installer, at all."""
    for path, container in subject.containers:
        if _map(container.get("securityContext")).get("readOnlyRootFilesystem") is not True:
            limits = _map(_map(container.get("resources")).get("limits"))
            if path == f"initContainers[{_INSTALLER}]" or not (amount(limits.get("ephemeral-storage")) or 0) > 0:
                yield f"{path}.securityContext.readOnlyRootFilesystem (false needs resources.limits.ephemeral-storage)"


def unlimited(subject: Subject) -> Iterator[str]:
    """Find containers that may take a node's memory."""
    for path, container in subject.containers:
        limits = _map(_map(container.get("resources")).get("limits"))
        if not (amount(limits.get("memory")) or 0) > 0:
            yield f"{path}.resources.limits.memory (is missing)"
    if not any(True for _ in subject.containers):
        yield "containers (are missing)"


def lost_label(subject: Subject) -> Iterator[str]:
    """Find pods that no policy of theirs would select."""
    spec = subject.deployment["spec"]
    labels = _map(_map(_map(spec.get("template")).get("metadata")).get("labels"))
    if spec.get("selector") != {"matchLabels": subject.selector} or any(
        labels.get(key) != value for key, value in subject.selector.items()
    ):
        yield "metadata.labels"


CHECKS: Final[tuple[Check, ...]] = (
    host_namespace,
    host_port,
    foreign_account,
    foreign_volume,
    foreign_mount,
    foreign_secret,
    root_user,
    privilege,
    unconfined,
    writable_root,
    unlimited,
    lost_label,
)


def hardening_problem(subject: Subject) -> c.Finding | None:
    """Return which rule of hardening a Deployment breaks, and where (Accepted=False), or None."""
    for check in CHECKS:
        if found := sorted(set(check(subject))):
            rule = check.__name__.replace("_", " ")
            return c.false(c.ACCEPTED, c.POD_NOT_HARDENED, f"the pod would break a rule of hardening ({rule}): {listed(found)}")
    return None


def _is_user(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and FIRST_USER <= value < 2**31


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
