"""Each rule of hardening, attacked in the pod as it would be applied: it holds without the table of allowed paths before it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from golden import manifests
from manifest_world import installation_world
from wharfinger_crds import conditions as c
from wharfinger_operator.plan.hardening import CHECKS, Subject, hardening_problem, subject_of
from wharfinger_operator.plan.installation import plan_installation

CASE = Path(__file__).parent / "testdata/installation-override.in.yaml"
Attack = Callable[[dict[str, Any]], object]


def subject() -> Subject:
    plan = plan_installation(installation_world(manifests(CASE)))
    assert plan.desired and plan.identity
    return subject_of(plan.identity, copy.deepcopy(plan.desired))


def attacked(attack: Attack) -> c.Finding | None:
    found = subject()
    deployment: Any = found.deployment
    attack(deployment["spec"])
    return hardening_problem(Subject(deployment, found.account, found.selector, found.declared))


def on_pod(**fields: Any) -> Attack:
    return lambda spec: spec["template"]["spec"].update(fields)


def on_pod_security(**fields: Any) -> Attack:
    return lambda spec: spec["template"]["spec"]["securityContext"].update(fields)


def on(kind: str, number: int, **fields: Any) -> Attack:
    return lambda spec: spec["template"]["spec"][kind][number].update(fields)


def on_security(kind: str, number: int, **fields: Any) -> Attack:
    return lambda spec: spec["template"]["spec"][kind][number]["securityContext"].update(fields)


def with_volume(**source: Any) -> Attack:
    return lambda spec: spec["template"]["spec"]["volumes"].append({"name": "v", **source})


EVERY = [("containers", 0), ("containers", 1), ("initContainers", 0), ("initContainers", 1)]
SOURCES: list[dict[str, Any]] = [
        {"hostPath": {"path": "/"}}, {"secret": {"secretName": "connection-x"}}, {"secret": {}}, {"configMap": {"name": "x"}}, {},
        {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}, {"projected": {"sources": [{"secret": {"name": "x"}}]}},
        {"csi": {"driver": "x"}}, {"ephemeral": {"volumeClaimTemplate": {}}}, {"persistentVolumeClaim": {"claimName": "x"}}, {"image": {"reference": "x"}},
        {"emptyDir": {}}, {"emptyDir": {"sizeLimit": "0"}}, {"emptyDir": {"sizeLimit": "1Gi"}, "hostPath": {"path": "/"}},
]  # fmt: skip
USERS: list[dict[str, Any]] = [{"runAsNonRoot": False}, {"runAsUser": 0}, {"runAsUser": None}, {"runAsGroup": 0}, {"fsGroup": 0}, {"supplementalGroups": [0]}]  # fmt: skip
PRIVILEGES: list[dict[str, Any]] = [
    {"allowPrivilegeEscalation": True}, {"allowPrivilegeEscalation": None}, {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}, {"capabilities": {}}, {"capabilities": None},
]  # fmt: skip
UNLIMITED: list[dict[str, Any]] = [{}, {"limits": {}}, {"limits": {"memory": "0"}}, {"requests": {"memory": "1Gi"}}]
ATTACKS: list[tuple[str, Attack]] = [
    *(("host namespace", on_pod(**{key: True})) for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")),
    *(("host port", on(*place, ports=[{"containerPort": 1, "hostPort": 80}])) for place in EVERY),
    ("host port", on("containers", 0, ports=[{"containerPort": 1, "hostIP": "127.0.0.1"}])),
    ("foreign account", on_pod(serviceAccountName="default")),
    ("foreign account", on_pod(serviceAccount="default")),
    ("foreign account", on_pod(automountServiceAccountToken=True)),
    ("foreign account", lambda spec: spec["template"]["spec"].pop("automountServiceAccountToken")),
    *(("foreign volume", with_volume(**source)) for source in SOURCES),
    ("foreign mount", on("containers", 1, volumeMounts=[{"name": "bridge-token", "mountPath": "/x"}])),
    ("foreign mount", on("initContainers", 1, volumeMounts=[{"name": "bridge", "mountPath": "/x"}])),
    ("foreign mount", on("containers", 0, volumeDevices=[{"name": "v", "devicePath": "/dev/sda"}])),
    ("foreign mount", on("containers", 1, volumeMounts=[{"name": "tmp", "mountPath": "/x", "mountPropagation": "Bidirectional"}])),
    *(("foreign secret", on(*place, envFrom=[{"secretRef": {"name": "x"}}])) for place in EVERY),
    *(("foreign secret", on(*place, env=[{"name": "A", "valueFrom": {kind: {"name": "x", "key": "y"}}}])) for place in EVERY for kind in ("secretKeyRef", "configMapKeyRef")),
    ("foreign secret", on("containers", 1, env=[{"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "x"}}}])),
    *(("root user", on_pod_security(**fields)) for fields in USERS),
    *(("root user", on_security(*place, **fields)) for place in EVERY for fields in ({"runAsUser": 0}, {"runAsUser": 999}, {"runAsNonRoot": False}, {"runAsGroup": 0})),
    *(("privilege", on_security(*place, **fields)) for place in EVERY for fields in PRIVILEGES),
    *(("unconfined", on_pod_security(**fields)) for fields in (
        {"seccompProfile": {"type": "Unconfined"}}, {"seccompProfile": None}, {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]},
        {"seLinuxOptions": {"type": "spc_t"}}, {"windowsOptions": {"hostProcess": True}}, {"appArmorProfile": {"type": "Unconfined"}},
    )),
    *(("unconfined", on_security(*place, **fields)) for place in EVERY for fields in (
        {"privileged": True}, {"procMount": "Unmasked"}, {"seccompProfile": {"type": "Unconfined"}}, {"seLinuxOptions": {"level": "s0"}},
        {"windowsOptions": {"runAsUserName": "x"}}, {"appArmorProfile": {"type": "Unconfined"}}, {"aFieldOfTomorrow": True},
    )),
    *(("writable root", on_security(*place, readOnlyRootFilesystem=False)) for place in EVERY[1:]),
    ("writable root", on("containers", 0, resources={"limits": {"memory": "1Gi"}})),
    *(("unlimited", on(*place, resources=resources)) for place in EVERY[1:] for resources in UNLIMITED),
    ("unlimited", on_pod(containers=[], initContainers=[])),
    ("privilege", on_pod(ephemeralContainers=[{"name": "debug", "image": "x"}])),
    ("lost label", lambda spec: spec["template"]["metadata"].update(labels={})),
    ("lost label", lambda spec: spec.update(selector={"matchLabels": {"a": "b"}})),
]  # fmt: skip


@pytest.mark.requirement("ORC-8")
def test_the_pod_that_is_attacked_is_a_good_one() -> None:
    assert hardening_problem(subject()) is None


@pytest.mark.requirement("ORC-8")
@pytest.mark.parametrize(("rule", "attack"), ATTACKS)
def test_a_pod_that_breaks_a_rule_is_refused_by_the_rules_name(rule: str, attack: Attack) -> None:
    problem = attacked(attack)

    assert problem is not None
    assert problem.reason == c.POD_NOT_HARDENED
    assert f"({rule}):" in problem.message


def test_every_rule_is_attacked() -> None:
    assert {rule for rule, _ in ATTACKS} == {check.__name__.replace("_", " ") for check in CHECKS}
