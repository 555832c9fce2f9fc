"""The probe of an environment: two short-lived pods that dial a third one, of which policies let only one out.

Everything hangs on the Job of the third pod, which ends and is deleted by itself: whatever becomes of the operator, nothing stays. The pods are
as hardened as servers, run where servers run, and have owners, since AWS's agent polices no others. The exemption of the one that is let out is
a policy for this run's own label that names this run's own target: there is nothing in it for anybody else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Literal

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.pod_defaults import PodDefaults
from wharfinger_operator.plan.pod_settings import SMALL_RESOURCES, with_settings

Role = Literal["target", "control", "treatment"]
Manifest = dict[str, Any]
CANARIES: Final[tuple[Role, ...]] = ("control", "treatment")
PART: Final = "egress-probe"
RUN: Final = f"{names.GROUP}/probe"
ROLE: Final = f"{names.GROUP}/probe-role"
LIFETIME: Final = 180
"""Seconds after which Kubernetes ends what is left of a run, and deletes it."""
ATTEMPTS: Final = 12
"""Connections that a pod tries, one a second: engines take a while to know a new pod, so only the last ones count."""
REACHED, BLOCKED = "reached", "blocked"
_LISTEN: Final = f"""\
import socket
try:
    listener = socket.create_server(("", {names.SERVER_PORT}), family=socket.AF_INET6, dualstack_ipv6=True)
except (OSError, ValueError):
    listener = socket.create_server(("", {names.SERVER_PORT}))
while True:
    listener.accept()[0].close()
"""
_DIAL: Final = f"""\
import socket, sys, time
seen = []
for _ in range({ATTEMPTS}):
    try:
        socket.create_connection((sys.argv[1], {names.SERVER_PORT}), 2).close()
        seen.append(True)
    except OSError:
        seen.append(False)
    time.sleep(1)
last = seen[-3:]
with open("/dev/termination-log", "w") as log:
    log.write("{REACHED}" if all(last) else "mixed" if any(last) else "{BLOCKED}")
"""


@dataclass(frozen=True)
class ProbeQuestion:
    """What is to be probed."""

    environment: str
    uid: str
    generation: int
    namespace: str
    """Where servers run."""
    provider: str
    image: str
    """Brings Python."""
    pod_defaults: tuple[PodDefaults | None, ...] = ()

    @property
    def fingerprint(self) -> str:
        """What makes it the same question; another one is asked at once."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


def job(question: ProbeQuestion, run: str, role: Role, *, address: str = "", owner: str = "") -> Manifest:
    """Return the Job of one pod; `owner` is the uid of the target's, which the others go with, `address` the target's."""
    program = ["-c", _LISTEN] if role == "target" else ["-c", _DIAL, address]
    container: Manifest = {
        "name": PART,
        "image": question.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", *program],
        "resources": SMALL_RESOURCES,
    }
    if role == "target":
        container["readinessProbe"] = {"tcpSocket": {"port": names.SERVER_PORT}, "periodSeconds": 1}
        container["ports"] = [{"name": "probe", "containerPort": names.SERVER_PORT, "protocol": "TCP"}]
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [],
    }  # fmt: skip
    wishes = tuple(each.model_copy(update={"resources": None}) if each else None for each in question.pod_defaults)
    template = with_settings({"selector": {}, "template": {"metadata": {"labels": _labels(run, role)}, "spec": pod}}, wishes, None)[
        "template"
    ]
    # What the two have said must stay until both have.
    kept = 0 if role == "target" else LIFETIME
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(question, run, role, owner),
        "spec": {"backoffLimit": 0, "activeDeadlineSeconds": LIFETIME, "ttlSecondsAfterFinished": kept, "template": template},
    }


def policies(question: ProbeQuestion, run: str, owner: str) -> tuple[Manifest, ...]:
    """Return who may reach the target, and who may reach nothing."""
    port = {"protocol": "TCP", "port": names.SERVER_PORT}
    canaries = {"podSelector": {"matchLabels": {RUN: run}, "matchExpressions": [{"key": ROLE, "operator": "In", "values": list(CANARIES)}]}}
    target = {"podSelector": {"matchLabels": _selector(run, "target")}}
    shut = [_policy(question, run, "treatment", owner, policyTypes=["Egress"])]
    if question.provider == "Cilium":
        spec = {"endpointSelector": {"matchLabels": _selector(run, "treatment")}, "egress": [{}]}
        metadata = _metadata(question, run, "treatment", owner)
        shut.append({"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": metadata, "spec": spec})
    return (
        *shut,
        _policy(question, run, "target", owner, policyTypes=["Ingress"], ingress=[{"from": [canaries], "ports": [port]}]),
        _policy(question, run, "control", owner, policyTypes=["Egress"], egress=[{"to": [target], "ports": [port]}]),
    )


def concluded(control: str, treatment: str) -> c.Finding:
    """Return EgressEnforced, of what the two pods have seen."""
    if control != REACHED:
        return inconclusive(f"the pod that may reach the probe's target did not ({control or 'it said nothing'})")
    if treatment == BLOCKED:
        return c.true(c.EGRESS_ENFORCED, c.PROBE_PASSED, "a pod that may reach nothing did not reach what another one reached")
    if treatment == REACHED:
        why = "a pod that may reach nothing reached the probe's target: the cluster's network does not enforce egress rules"
        return c.false(c.EGRESS_ENFORCED, c.PROBE_FAILED, why)
    return inconclusive(f"the pod that may reach nothing came to no clear end ({treatment or 'it said nothing'})")


def inconclusive(why: str) -> c.Finding:
    """Return that the probe has shown nothing."""
    return c.unknown(c.EGRESS_ENFORCED, c.PROBE_INCONCLUSIVE, why)


def _policy(question: ProbeQuestion, run: str, role: Role, owner: str, **spec: Any) -> Manifest:
    metadata, selector = _metadata(question, run, role, owner), {"matchLabels": _selector(run, role)}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": {"podSelector": selector, **spec}}


def _metadata(question: ProbeQuestion, run: str, role: Role, owner: str) -> Manifest:
    references = [{"apiVersion": "batch/v1", "kind": "Job", "name": _name(run, "target"), "uid": owner}] if owner else []
    return {
        "name": _name(run, role),
        "namespace": question.namespace,
        "labels": {**_labels(run, role), names.ENVIRONMENT: question.environment},
        **({"ownerReferences": references} if references else {}),
    }


def _name(run: str, role: Role) -> str:
    return f"{PART}-{run}-{role}"


def _labels(run: str, role: Role) -> dict[str, str]:
    return {names.MANAGED_BY: names.MANAGER, names.PART: PART, **_selector(run, role)}


def _selector(run: str, role: Role) -> dict[str, str]:
    return {RUN: run, ROLE: role}
