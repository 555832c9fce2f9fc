"""Pod settings on a real API server: what an override adds is settled, repaired, and never fought over."""

import json
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.errors import Conflict
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import CONFIG_MAP, DEPLOYMENT, SERVICE, Resource
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION, REGISTRY_ENTRY

POLICY = Resource("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", namespaced=False)
BINDING = Resource(
    "admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", namespaced=False
)
CHILDREN = ["Deployment", "NetworkPolicy", "Secret", "Secret", "Secret", "Service", "ServiceAccount"]

DEFAULTS = {
    "nodeSelector": {"pool": "mcp"},
    "tolerations": [{"key": "mcp", "operator": "Exists"}, {"key": "", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}},
    ]}, "podAffinity": {}},
    "priorityClassName": "system-cluster-critical",
    "resources": {"limits": {"cpu": 1, "memory": "1024Mi"}, "requests": {"cpu": 0.5, "memory": "0.25Gi"}},
}  # fmt: skip
RICH: dict[str, Any] = {
    "strategy": {"rollingUpdate": {"maxSurge": "50%"}},
    "minReadySeconds": 0,
    "progressDeadlineSeconds": 900,
    "template": {
        "metadata": {"labels": {"env": "prod"}, "annotations": {"acme.dev/empty": ""}},
        "spec": {
            "terminationGracePeriodSeconds": 60,
            "securityContext": {"runAsUser": 1000, "supplementalGroups": [2000]},
            "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a.acme.dev"]}],
            "dnsConfig": {"options": [{"name": "ndots", "value": "1"}], "searches": []},
            "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}],
            "volumes": [{"name": "home", "emptyDir": {"sizeLimit": "2048Mi"}}, {"name": "cache", "emptyDir": {"medium": "Memory"}}],
            "containers": [
                {"name": "server", "resources": {"limits": {"cpu": "1500m", "ephemeral-storage": "1e9"}, "requests": {"cpu": None}}, "livenessProbe": {"initialDelaySeconds": 0},
                 "volumeMounts": [{"name": "cache", "mountPath": "/cache", "readOnly": False}]},
                {"name": "proxy", "image": "example.invalid/proxy", "ports": [{"containerPort": 9000}], "resources": {"requests": {"cpu": "0.020"}},
                 "env": [{"name": "EMPTY", "value": ""}, {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                         {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}],
                 "startupProbe": {"httpGet": {"port": 9000}}, "readinessProbe": {"grpc": {"port": 9000}}, "livenessProbe": {"exec": {"command": ["true"]}},
                 "lifecycle": {"preStop": {"exec": {"command": ["true"]}}, "postStart": {"sleep": {"seconds": 1}}}},
            ],
            "initContainers": [{"name": "setup", "image": "example.invalid/setup@sha256:" + "0" * 64, "restartPolicy": "Always"}],
        },
    },
}  # fmt: skip


async def install(platform: Platform, deployment: dict[str, Any] | None) -> None:
    await platform.install()
    await platform.apply(ENVIRONMENT, f"env-{platform.mark}", {"title": "X", "podDefaults": DEFAULTS, "egress": {"mode": "DenyAll"}})
    await override(platform, deployment)


async def override(platform: Platform, deployment: dict[str, Any] | None) -> None:
    hosted = {"command": ["mcp-server-time"], "transport": "Stdio", **({"deployment": deployment} if deployment else {})}
    entry = {"title": "X", "type": "SelfHosted", "selfHosted": hosted, "environmentRef": {"name": f"env-{platform.mark}"}}
    await platform.apply(REGISTRY_ENTRY, f"entry-{platform.mark}", entry)


async def deployment_of(platform: Platform) -> dict[str, Any]:
    return await platform.cluster.get(DEPLOYMENT, names.server_name(platform.spaces.tenant, "time"), platform.spaces.servers)


async def has_proxy(platform: Platform) -> bool:
    found = next((o for o in await platform.children() if o["kind"] == "Deployment"), None)
    return found is not None and "proxy" in {c["name"] for c in found["spec"]["template"]["spec"]["containers"]}


@pytest.mark.requirement("ORC-6", "ORC-7", "ORC-8", "ENV-1", "ORC-9")
async def test_a_rich_override_is_written_once_and_never_again(platform: Platform) -> None:
    first = await platform.operator()
    await until(first.leads)
    await install(platform, RICH)
    await until(lambda: has_proxy(platform))
    # Whoever looks again, looks at everything: the Service comes back, and nothing else is written.
    name = names.server_name(platform.spaces.tenant, "time")
    await first.settled()
    before = await deployment_of(platform)
    await first.stop()

    second = await platform.operator()
    await until(second.leads)
    await platform.cluster.delete(SERVICE, name, platform.spaces.servers)

    async def is_back() -> bool:
        return await platform.kinds() == CHILDREN

    await until(is_back)
    assert await second.writes() == 1
    assert (await deployment_of(platform))["metadata"]["generation"] == before["metadata"]["generation"]
    server = before["spec"]["template"]["spec"]["containers"][0]
    assert server["resources"]["limits"]["cpu"] == "1500m"
    assert list(server["resources"]["requests"]) == ["memory"], "null takes a default out"
    assert before["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "mcp"}
    await second.stop()


Edit = Callable[[dict[str, Any]], object]


def pod(found: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


EDITS: list[Edit] = [
    lambda found: pod(found)["containers"][1].update(image="example.invalid/other"),
    lambda found: pod(found)["containers"].append({"name": "miner", "image": "x"}),
    lambda found: pod(found)["containers"].insert(0, {"name": "miner", "image": "x"}),
    lambda found: pod(found)["initContainers"].pop(),
    lambda found: pod(found).update(dnsPolicy="Default"),
    lambda found: pod(found)["containers"][1]["securityContext"].update(seccompProfile={"type": "Unconfined"}),
    lambda found: pod(found)["containers"][1]["startupProbe"].update(failureThreshold=9),
    lambda found: pod(found)["containers"][0]["resources"]["limits"].update(cpu="1501m"),
    lambda found: pod(found)["tolerations"].pop(),
    lambda found: pod(found)["volumes"][0]["emptyDir"].update(medium="Memory"),
    lambda found: found["spec"].update(minReadySeconds=9),
    lambda found: found["spec"]["template"]["metadata"]["labels"].update(env="dev"),
]


@pytest.mark.requirement("ORC-7", "ORC-6")
async def test_an_entry_has_its_way_over_the_environment_and_that_over_the_helm_values(platform: Platform) -> None:
    settings = await platform.cluster.get(CONFIG_MAP, names.SETTINGS_CONFIGMAP, platform.spaces.system)
    defaults = {"nodeSelector": {"a": "helm", "b": "helm", "c": "helm"}, "priorityClassName": "system-cluster-critical"}
    text = f"{settings['data'][names.SETTINGS_KEY]}servers: {json.dumps({'podDefaults': defaults})}\n"
    await platform.cluster.patch(CONFIG_MAP, names.SETTINGS_CONFIGMAP, {"data": {names.SETTINGS_KEY: text}}, platform.spaces.system)
    async with platform.leading():
        await platform.install()
        nearer = {"nodeSelector": {"b": "environment", "c": "environment"}}
        await platform.apply(ENVIRONMENT, f"env-{platform.mark}", {"title": "X", "podDefaults": nearer, "egress": {"mode": "DenyAll"}})
        await override(platform, {"template": {"spec": {"nodeSelector": {"c": "entry"}}}})

        async def is_merged() -> bool:
            found = next((o for o in await platform.children() if o["kind"] == "Deployment"), None)
            return found is not None and pod(found)["nodeSelector"] == {"a": "helm", "b": "environment", "c": "entry"}

        await until(is_merged)
        assert pod(await deployment_of(platform))["priorityClassName"] == "system-cluster-critical"


@pytest.mark.requirement("ORC-9", "ORC-6")
async def test_drift_in_an_override_is_repaired(platform: Platform, operator: OperatorProcess) -> None:
    await install(platform, RICH)
    await until(lambda: has_proxy(platform))
    good = (await deployment_of(platform))["spec"]

    async def is_repaired() -> bool:
        return bool((await deployment_of(platform))["spec"] == good)

    for edit in EDITS:

        async def is_edited(edit: Edit = edit) -> bool:
            found = await deployment_of(platform)
            edit(found)
            try:
                await platform.cluster.replace(DEPLOYMENT, found)
            except Conflict:
                return False
            return True

        await until(is_edited)
        await until(is_repaired, 5)


@pytest.mark.requirement("ORC-6", "ORC-8")
async def test_a_refused_override_is_a_condition_of_the_entry_and_leaves_the_server_running(
    platform: Platform, operator: OperatorProcess
) -> None:
    await install(platform, None)

    async def runs() -> bool:
        return await platform.kinds() == CHILDREN

    await until(runs)
    await operator.settled()
    before = await deployment_of(platform)
    await override(platform, {"template": {"spec": {"hostNetwork": True, "containers": None}}})

    async def is_refused() -> bool:
        return (await platform.ready(REGISTRY_ENTRY, f"entry-{platform.mark}")).get("reason") == "OverrideNotAllowed"

    async def is_told() -> bool:
        return (await platform.ready(INSTALLATION, "time")).get("reason") == "EntryNotAccepted"

    await until(is_refused)
    await until(is_told)
    assert "template.spec.hostNetwork" in (await platform.ready(INSTALLATION, "time"))["message"]
    assert (await deployment_of(platform))["spec"] == before["spec"]


@pytest.fixture
async def webhook(platform: Platform) -> AsyncIterator[str]:
    """What an injector of sidecars and Autopilot do together: a field more, and another value, on each write."""
    name = f"inject-{secrets.token_hex(4)}"
    expression = 'Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{schedulerName: "special", priorityClassName: "injected"}}}}'
    await platform.cluster.create(POLICY, {
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": platform.spaces.servers}},
                "resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}],
            },
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
        },
    })  # fmt: skip
    await platform.cluster.create(BINDING, {"metadata": {"name": name}, "spec": {"policyName": name}})
    yield name
    await platform.cluster.delete(BINDING, name)
    await platform.cluster.delete(POLICY, name)


@pytest.mark.requirement("ORC-9", "ORC-6")
async def test_what_admission_makes_of_every_write_is_said_and_not_fought_over(
    platform: Platform, webhook: str, operator: OperatorProcess
) -> None:
    await install(platform, None)
    name = names.server_name(platform.spaces.tenant, "time")

    async def accepted() -> str:
        found = await platform.get(INSTALLATION, "time") or {}
        conditions = {c["type"]: c for c in found.get("status", {}).get("conditions", [])}
        condition = conditions.get("Accepted", {})
        return condition["message"] if condition.get("reason") == "ChangedByAdmission" else ""

    async def is_injected() -> bool:
        return bool(pod(await deployment_of(platform)).get("schedulerName") == "special")

    async def touch(annotation: str) -> None:
        await platform.cluster.patch(DEPLOYMENT, name, {"metadata": {"annotations": {"touched": annotation}}}, platform.spaces.servers)

    async def runs() -> bool:
        return await platform.kinds() == CHILDREN

    await until(runs)
    # The policy takes a moment to be in force after it was made.
    for attempt in range(100):
        await touch(str(attempt))
        if await is_injected():
            break
    message = await until(accepted)
    assert f"Deployment {name}: spec.template.spec.priorityClassName" in message
    assert f"Deployment {name}: spec.template.spec.schedulerName" in message
    writes = await operator.writes("deployments")
    assert writes > 0

    await platform.cluster.delete(SERVICE, name, platform.spaces.servers)
    await until(runs)
    assert await operator.writes("deployments") == writes

    # What a person changes is no answer to a write of ours, and is repaired.
    await platform.cluster.patch(DEPLOYMENT, name, {"spec": {"replicas": 0}}, platform.spaces.servers)

    async def is_repaired() -> bool:
        return bool((await deployment_of(platform))["spec"]["replicas"] == 1)

    await until(is_repaired, 5)
    await platform.cluster.delete(kind_resource(INSTALLATION), "time", platform.spaces.tenant)
