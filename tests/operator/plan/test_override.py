"""What an entry's partial Deployment spec may hold, and what every attempt beyond it is answered."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wharfinger_crds import conditions as c
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_operator.plan.entry_checks import entry_problem


def entry(deployment: Any, transport: str = "Stdio") -> RegistryEntry:
    hosted = {"image": "ghcr.io/acme/x:1", "command": ["x"], "transport": transport, "deployment": deployment}
    return RegistryEntry.parse({"metadata": {"name": "x"}, "spec": {"title": "X", "type": "SelfHosted", "selfHosted": hosted}})


def pod(**spec: Any) -> dict[str, Any]:
    return {"template": {"spec": spec}}


def server(**container: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "server", **container}])


def sidecar(**container: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "proxy", "image": "ghcr.io/acme/proxy:1", **container}])


def init(**container: Any) -> dict[str, Any]:
    return pod(initContainers=[{"name": "setup", "image": "ghcr.io/acme/setup:1", **container}])


RICH: dict[str, Any] = {
    "strategy": {"type": "Recreate"},
    "minReadySeconds": 5,
    "progressDeadlineSeconds": 600,
    "template": {
        "metadata": {"labels": {"env": "prod", "acme.dev/cost": "7"}, "annotations": {"prometheus.io/scrape": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}},
        "spec": {
            "nodeSelector": {"pool": "mcp"},
            "tolerations": [{"key": "mcp", "operator": "Exists"}],
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
            "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}],
            "priorityClassName": "low",
            "runtimeClassName": "gvisor",
            "terminationGracePeriodSeconds": 60,
            "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a.acme.dev"]}],
            "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
            "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000},
            "volumes": [{"name": "home", "emptyDir": {"sizeLimit": "2Gi"}}, {"name": "cache", "emptyDir": {}}],
            "containers": [
                {"name": "server", "resources": {"limits": {"cpu": None, "memory": "1Gi"}}, "volumeMounts": [{"name": "cache", "mountPath": "/cache"}], "livenessProbe": {"periodSeconds": 30}},
                {"name": "proxy", "image": "ghcr.io/acme/proxy:1", "env": [{"name": "LEVEL", "value": "info"}], "ports": [{"containerPort": 9000, "name": "metrics"}],
                 "readinessProbe": {"httpGet": {"path": "/", "port": 9000}}, "volumeMounts": [{"name": "cache", "mountPath": "/cache", "readOnly": True}]},
            ],
            "initContainers": [{"name": "setup", "image": "ghcr.io/acme/setup:1", "restartPolicy": "Always", "command": ["x"]}],
        },
    },
}  # fmt: skip


@pytest.mark.requirement("ORC-6")
@pytest.mark.parametrize(
    ("deployment", "transport"),
    [
        ({}, "Stdio"),
        (RICH, "Stdio"),
        (server(readinessProbe={"tcpSocket": None, "httpGet": {"path": "/healthz", "port": "mcp"}}), "StreamableHTTP"),
        (server(livenessProbe=None), "StreamableHTTP"),
        (pod(terminationGracePeriodSeconds=1), "StreamableHTTP"),
        (server(securityContext={"readOnlyRootFilesystem": False}, resources={"limits": {"ephemeral-storage": "1Gi"}}), "Stdio"),
        (server(securityContext={}, resources={}), "Stdio"),
    ],
)
def test_what_the_table_lists_is_accepted(deployment: dict[str, Any], transport: str) -> None:
    assert entry_problem(entry(deployment, transport)) is None


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"replicas": 3}, "replicas (use spec.selfHosted.replicas)"),
    ({"selector": {"matchLabels": {"a": "b"}}}, "selector.matchLabels.a"),
    ({"paused": True}, "paused"),
    ({"template": "x"}, "template"),
    ({"template": None}, "template"),
    (pod(containers=None), "template.spec.containers (is no list)"),
    (pod(containers={}), "template.spec.containers (is no list)"),
    (pod(containers=["x"]), "template.spec.containers[0] (has no name)"),
    (pod(containers=[{"image": "x"}]), "template.spec.containers[0] (has no name)"),
    (pod(containers=[{"name": {"a": 1}}]), "template.spec.containers[0] (has no name)"),
    ({"$patch": "replace"}, "$patch"),
    (pod(**{"$setElementOrder/containers": []}), "template.spec.$setElementOrder/containers"),
    (pod(containers=[{"name": "server", "$patch": "delete"}]), "template.spec.containers[server].$patch"),
    (pod(volumes=[{"name": "tmp", "$patch": "delete"}]), "template.spec.volumes[tmp].$patch"),
    (pod(hostNetwork=True), "template.spec.hostNetwork"),
    (pod(hostPID=True), "template.spec.hostPID"),
    (pod(hostIPC=True), "template.spec.hostIPC"),
    (pod(hostUsers=True), "template.spec.hostUsers"),
    (pod(shareProcessNamespace=True), "template.spec.shareProcessNamespace"),
    (pod(dnsPolicy="Default"), "template.spec.dnsPolicy"),
    (pod(nodeName="a"), "template.spec.nodeName"),
    (pod(schedulerName="a"), "template.spec.schedulerName"),
    (pod(serviceAccountName="default"), "template.spec.serviceAccountName"),
    (pod(serviceAccount="default"), "template.spec.serviceAccount"),
    (pod(automountServiceAccountToken=True), "template.spec.automountServiceAccountToken"),
    (pod(imagePullSecrets=[{"name": "x"}]), "template.spec.imagePullSecrets (use spec.selfHosted.imagePullSecrets)"),
    (pod(ephemeralContainers=[{"name": "x", "image": "x"}]), "template.spec.ephemeralContainers"),
    (pod(resourceClaims=[{"name": "x"}]), "template.spec.resourceClaims"),
    (pod(securityContext={"runAsNonRoot": False}), "template.spec.securityContext.runAsNonRoot"),
    (pod(securityContext={"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "0"}]}), "template.spec.securityContext.sysctls"),
    (pod(securityContext={"seccompProfile": {"type": "Unconfined"}}), "template.spec.securityContext.seccompProfile.type"),
    (pod(securityContext={"appArmorProfile": {"type": "Unconfined"}}), "template.spec.securityContext.appArmorProfile.type"),
    (pod(securityContext={"windowsOptions": {"hostProcess": True}}), "template.spec.securityContext.windowsOptions.hostProcess"),
    (pod(securityContext={"seLinuxOptions": {"type": "spc_t"}}), "template.spec.securityContext.seLinuxOptions.type"),
    (pod(securityContext=None), "template.spec.securityContext"),
    *((pod(volumes=[{"name": "v", **source}]), f"template.spec.volumes[v].{path}") for source, path in (
        ({"hostPath": {"path": "/"}}, "hostPath.path"),
        ({"secret": {"secretName": "x"}}, "secret.secretName"),
        ({"configMap": {"name": "x"}}, "configMap.name"),
        ({"projected": {"sources": [{"serviceAccountToken": {"path": "x"}}]}}, "projected.sources"),
        ({"csi": {"driver": "x"}}, "csi.driver"),
        ({"nfs": {"server": "x"}}, "nfs.server"),
        ({"persistentVolumeClaim": {"claimName": "x"}}, "persistentVolumeClaim.claimName"),
        ({"ephemeral": {"volumeClaimTemplate": {"spec": {}}}}, "ephemeral.volumeClaimTemplate.spec"),
        ({"image": {"reference": "x"}}, "image.reference"),
    )),
    (pod(volumes=[{"name": "bridge", "emptyDir": {}}]), "template.spec.volumes[bridge] (the name is taken)"),
    (pod(volumes=[{"name": "bridge-token", "emptyDir": {}}]), "template.spec.volumes[bridge-token] (the name is taken)"),
    (server(image="evil"), "template.spec.containers[server].image (use spec.selfHosted.image)"),
    (server(command=["sh"]), "template.spec.containers[server].command (use spec.selfHosted.command)"),
    (server(env=[{"name": "A", "value": "b"}]), "template.spec.containers[server].env (use spec.selfHosted.env)"),
    (server(ports=[{"containerPort": 1}]), "template.spec.containers[server].ports (use spec.selfHosted.http.port)"),
    (server(envFrom=[{"secretRef": {"name": "x"}}]), "template.spec.containers[server].envFrom"),
    (server(stdin=True), "template.spec.containers[server].stdin"),
    (server(readinessProbe={"exec": {"command": ["true"]}}), "template.spec.containers[server].readinessProbe.exec.command"),
    (server(lifecycle={"preStop": {"exec": {"command": ["x"]}}}), "template.spec.containers[server].lifecycle.preStop.exec.command"),
    (server(resources={"claims": [{"name": "x"}]}), "template.spec.containers[server].resources.claims"),
    (server(volumeMounts=[{"name": "tmp", "mountPath": "/bridge"}]), "template.spec.containers[server].volumeMounts[/bridge]"),
    (server(volumeMounts=[{"name": "tmp", "mountPath": "/bridge/lib"}]), "template.spec.containers[server].volumeMounts[/bridge/lib]"),
    (server(volumeMounts=[{"name": "tmp", "mountPath": "/x/../bridge"}]), "template.spec.containers[server].volumeMounts[/x/../bridge].mountPath"),
    (server(volumeMounts=[{"name": "tmp", "mountPath": "/bridge-auth"}]), "template.spec.containers[server].volumeMounts[/bridge-auth]"),
    (server(volumeMounts=[{"name": "tmp", "mountPath": "/a", "mountPropagation": "Bidirectional"}]), "template.spec.containers[server].volumeMounts[/a].mountPropagation"),
    (server(volumeMounts=[{"name": "tmp", "mountPath": "/a", "subPathExpr": "$(A)"}]), "template.spec.containers[server].volumeMounts[/a].subPathExpr"),
    *((make(securityContext=context), f"{place}.securityContext.{path}")
      for make, place in ((server, "template.spec.containers[server]"), (sidecar, "template.spec.containers[proxy]"), (init, "template.spec.initContainers[setup]"))
      for context, path in (
        ({"privileged": True}, "privileged"),
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation"),
        ({"allowPrivilegeEscalation": None}, "allowPrivilegeEscalation"),
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, "capabilities.add"),
        ({"capabilities": {"drop": []}}, "capabilities.drop"),
        ({"procMount": "Unmasked"}, "procMount"),
        ({"runAsNonRoot": False}, "runAsNonRoot"),
        ({"seccompProfile": {"type": "Unconfined"}}, "seccompProfile.type"),
        ({"seLinuxOptions": {"type": "spc_t"}}, "seLinuxOptions.type"),
        ({"windowsOptions": {"hostProcess": True}}, "windowsOptions.hostProcess"),
        ({"appArmorProfile": {"type": "Unconfined"}}, "appArmorProfile.type"),
    )),
    (sidecar(ports=[{"containerPort": 1, "hostPort": 1}]), "template.spec.containers[proxy].ports[1].hostPort"),
    (sidecar(ports=[{"containerPort": 8080, "name": "mcp"}]), "template.spec.containers[proxy].ports[8080].name (mcp is the server's)"),
    (sidecar(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}]), "template.spec.containers[proxy].env[A].valueFrom.secretKeyRef.name"),
    (sidecar(envFrom=[{"secretRef": {"name": "x"}}]), "template.spec.containers[proxy].envFrom"),
    (sidecar(volumeMounts=[{"name": "bridge-token", "mountPath": "/x"}]), "template.spec.containers[proxy].volumeMounts[/x]"),
    (sidecar(volumeMounts=[{"name": "files", "mountPath": "/x"}]), "template.spec.containers[proxy].volumeMounts[/x]"),
    (sidecar(volumeDevices=[{"name": "x", "devicePath": "/dev/x"}]), "template.spec.containers[proxy].volumeDevices"),
    (sidecar(readinessProbe={"httpGet": {"host": "169.254.169.254", "port": 80}}), "template.spec.containers[proxy].readinessProbe.httpGet.host"),
    (sidecar(lifecycle={"postStart": {"httpGet": {"host": "x", "port": 80}}}), "template.spec.containers[proxy].lifecycle.postStart.httpGet.host"),
    (sidecar(image=None), "template.spec.containers[proxy].image (is missing)"),
    (sidecar(restartPolicy="Never"), "template.spec.containers[proxy].restartPolicy"),
    (init(restartPolicy="OnFailure"), "template.spec.initContainers[setup].restartPolicy"),
    (pod(initContainers=[{"name": "bridge", "image": "x"}]), "template.spec.initContainers[bridge] (the name is taken)"),
    (pod(terminationGracePeriodSeconds=10), "template.spec.terminationGracePeriodSeconds (is not between 30 and 3600)"),
    (pod(terminationGracePeriodSeconds="60"), "template.spec.terminationGracePeriodSeconds (is not between 30 and 3600)"),
    (sidecar(args=["${fields.token}"]), "${fields.…} is not rendered there"),
    (pod(containers=[{"name": f"c{i}", "image": "x"} for i in range(9)]), "more than 8 containers"),
    *(({"template": {"metadata": {"labels": {key: "x"}}}}, f"template.metadata.labels.{key}") for key in (
        "wharfinger.dev/installation-id", "app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "argocd.argoproj.io/instance",
        "kustomize.toolkit.fluxcd.io/name", "helm.sh/chart", "pod-template-hash", "pod-security.kubernetes.io/enforce", "azure.workload.identity/use",
    )),
    *(({"template": {"metadata": {"annotations": {key: "x"}}}}, f"template.metadata.annotations.{key}") for key in (
        "wharfinger.dev/input-hash", "argocd.argoproj.io/tracking-id", "container.apparmor.security.beta.kubernetes.io/server",
        "seccomp.security.alpha.kubernetes.io/pod", "k8s.v1.cni.cncf.io/networks", "cni.projectcalico.org/ipAddrs", "io.kubernetes.cri-o.Devices",
        "iam.amazonaws.com/role", "policy.cilium.io/proxy-visibility",
    )),
]  # fmt: skip


@pytest.mark.requirement("ORC-6", "ORC-8")
@pytest.mark.parametrize(("deployment", "path"), REFUSED, ids=[path for _, path in REFUSED])
def test_everything_else_is_refused_by_its_path(deployment: dict[str, Any], path: str) -> None:
    problem = entry_problem(entry(deployment))

    assert problem is not None
    assert problem.reason == c.OVERRIDE_NOT_ALLOWED
    assert path in problem.message


@pytest.mark.requirement("ORC-6", "ORC-8")
@pytest.mark.parametrize(
    ("deployment", "words"),
    [
        (pod(securityContext={"runAsUser": 0}), "root user): securityContext.runAsUser"),
        (pod(securityContext={"runAsUser": 999}), "root user): securityContext.runAsUser"),
        (pod(securityContext={"runAsUser": None}), "root user): securityContext.runAsUser"),
        (pod(securityContext={"runAsUser": "root"}), "root user): securityContext.runAsUser"),
        (pod(securityContext={"runAsUser": True}), "root user): securityContext.runAsUser"),
        (pod(securityContext={"fsGroup": 0}), "root user): securityContext.fsGroup"),
        (pod(securityContext={"supplementalGroups": [0]}), "root user): securityContext.supplementalGroups"),
        (server(securityContext={"runAsUser": 0}), "root user): containers[server].securityContext.runAsUser"),
        (init(securityContext={"runAsUser": 0}), "root user): initContainers[setup].securityContext.runAsUser"),
        (sidecar(securityContext={"readOnlyRootFilesystem": False}), "writable root): containers[proxy].securityContext.readOnlyRootFilesystem"),
        (server(securityContext={"readOnlyRootFilesystem": None}), "writable root): containers[server]"),
        (server(resources={"limits": {"memory": None}}), "unlimited): containers[server].resources.limits.memory"),
        (server(resources={"limits": {"memory": "0"}}), "unlimited): containers[server].resources.limits.memory"),
        (server(resources={"limits": {"memory": "much"}}), "unlimited): containers[server].resources.limits.memory"),
        (sidecar(resources={"limits": {"memory": 0}}), "unlimited): containers[proxy].resources.limits.memory"),
        (sidecar(resources={"limits": {"memory": None}}), ""),
        (pod(volumes=[{"name": "v"}]), "foreign volume): volumes[v].emptyDir (is missing)"),
        (pod(volumes=[{"name": "v", "emptyDir": {"sizeLimit": "0"}}]), "foreign volume): volumes[v].emptyDir.sizeLimit"),
        (pod(volumes=[{"name": "tmp", "emptyDir": {"sizeLimit": None}}]), ""),
    ],
)  # fmt: skip
def test_an_allowed_path_with_a_value_that_breaks_a_rule_of_hardening_is_refused(deployment: dict[str, Any], words: str) -> None:
    problem = entry_problem(entry(deployment))

    if not words:
        assert problem is None, "the size that the operator gives takes the place of one that is taken out"
        return
    assert problem is not None
    assert problem.reason == c.POD_NOT_HARDENED
    assert words in problem.message


NAMES = st.sampled_from([
    "template", "spec", "metadata", "labels", "annotations", "containers", "initContainers", "volumes", "env", "ports", "volumeMounts", "name", "server", "image",
    "resources", "limits", "memory", "securityContext", "strategy", "type", "readinessProbe", "httpGet", "emptyDir", "affinity", "tolerations", "mountPath",
    "topologySpreadConstraints", "topologyKey", "terminationGracePeriodSeconds", "$patch", "replicas", "",
])  # fmt: skip
GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=25,
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, GARBAGE, max_size=4) | st.builds(lambda spec: pod(**spec), st.dictionaries(NAMES.filter(bool), GARBAGE, max_size=4)), st.sampled_from(["Stdio", "StreamableHTTP"]))  # fmt: skip
def test_no_shape_of_an_override_is_more_than_a_condition(deployment: dict[str, Any], transport: str) -> None:
    problem = entry_problem(entry(deployment, transport))

    assert problem is None or problem.message


@pytest.mark.parametrize("wrap", [lambda inner: {"a": inner}, lambda inner: [inner], lambda inner: [{"a": inner}]])
def test_an_override_that_goes_deeper_than_any_pod_is_refused(wrap: Callable[[Any], Any]) -> None:
    deep: Any = {}
    for _ in range(800):
        deep = wrap(deep)

    problem = entry_problem(entry(pod(affinity={"nodeAffinity": deep})))
    assert problem is not None
    assert "inside of one another" in problem.message


def test_an_override_with_more_values_than_any_pod_is_refused() -> None:
    problem = entry_problem(entry(pod(nodeSelector={f"k{i}": "v" for i in range(2000)})))

    assert problem is not None
    assert "more than 1024 values" in problem.message
