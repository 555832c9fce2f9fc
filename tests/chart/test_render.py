"""What the chart makes of its values, without a cluster."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import CHART, of_kind, render, template
from wharfinger_crds import names
from wharfinger_crds.pod_defaults import PodDefaults
from wharfinger_crds.settings import read_settings
from wharfinger_operator.plan.default_deny import is_default_deny
from wharfinger_operator.plan.restriction import is_in_force

FREE = {"global", "resources", "requests", "limits", "affinity", "items", "additionalProperties"}
"""Parts of values that are Kubernetes' own: the API server knows them better."""
TENANTS: dict[str, Any] = {"namespaces": {"tenants": [{"name": "team-a", "create": True, "teams": ["a"]}]}}
FULL: dict[str, Any] = {
    **TENANTS,
    "monitoring": {
        "podMonitor": {"enabled": True, "labels": {"release": "x"}},
        "rules": {"enabled": True},
        "dashboard": {"enabled": True},
        "traces": {"endpoint": "http://collector.observability.svc:4318", "env": [{"name": "OTEL_TRACES_SAMPLER", "value": "always_on"}]},
    },
    "networkPolicy": {"enabled": True, "gatewayFrom": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]},
    "tolerations": [{"operator": "Exists"}],
    "nodeSelector": {"a": "b"},
    "affinity": {"podAntiAffinity": {}},
    "priorityClassName": "system-cluster-critical",
    "podAnnotations": {"a": "b"},
    "image": {"pullSecrets": ["one"]},
}
BY_SERVICE: dict[str, Any] = {"monitoring": {"serviceMonitor": {"enabled": True, "labels": {"release": "x"}}}}


def test_helm_has_nothing_to_complain_about(helm: Path) -> None:
    done = subprocess.run([str(helm), "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"publicURL": "https://x"}, "additional properties 'publicURL' not allowed"),
        ({"publicUrl": "https://x/"}, "/publicUrl"),
        ({"publicUrl": "mcp.acme.dev"}, "/publicUrl"),
        ({"operator": {"replicas": "two"}}, "/operator/replicas"),
        ({"operator": {"replica": 2}}, "additional properties 'replica' not allowed"),
        ({"gateway": {"logLevel": "TRACE"}}, "/gateway/logLevel"),
        ({"gateway": {"service": {"type": "ExternalName"}}}, "/gateway/service/type"),
        ({"image": {"tag": 1}}, "/image/tag"),
        ({"namespaces": {"servers": []}}, "/namespaces/servers"),
        ({"namespaces": {"tenants": [{"name": "Team_A"}]}}, "/namespaces/tenants/0/name"),
        ({"namespaces": {"tenants": [{"name": "a", "users": ["alice"]}]}}, "/namespaces/tenants/0/users/0"),
        ({"namespaces": {"tenants": [{"name": "a", "teams": ["a,b"]}]}}, "/namespaces/tenants/0/teams/0"),
        ({"namespaces": {"tenants": [{"name": "a", "organization": "true"}]}}, "/namespaces/tenants/0/organization"),
        ({"teams": [{"name": "a", "members": ["alice"]}]}, "/teams/0/members/0"),
        ({"teams": [{"name": "a", "groups": [{"group": "a"}]}]}, "/teams/0/groups/0"),
        ({"identityProviders": [{"name": "okta", "issuer": "okta.example", "clientId": "a"}]}, "/identityProviders/0/issuer"),
        ({"identityProviders": [{"name": "okta", "issuer": "https://a.example", "clientSecret": "a"}]}, "/identityProviders/0"),
        ({"oauth": {"registration": {"dynamic": "Anyone"}}}, "/oauth/registration/dynamic"),
        ({"oauth": {"developmentLogin": {"users": ["dev:alice"]}}}, "/oauth/developmentLogin"),
        ({"admission": {"enabled": "yes"}}, "/admission/enabled"),
        ({"monitoring": {"probe": {}}}, "additional properties 'probe' not allowed"),
        ({"monitoring": {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}}, "/monitoring/serviceMonitor/enabled"),
        ({"monitoring": {"serviceMonitor": {"interval": "often"}}}, "/monitoring/serviceMonitor/interval"),
        ({"monitoring": {"podMonitor": {"interval": "often"}}}, "/monitoring/podMonitor/interval"),
        ({"monitoring": {"audit": {"argumentBytes": 65537}}}, "/monitoring/audit/argumentBytes"),
        ({"monitoring": {"audit": {"argumentBytes": True}}}, "/monitoring/audit/argumentBytes"),
        ({"monitoring": {"traces": {"endpoint": "collector:4318"}}}, "/monitoring/traces/endpoint"),
        ({"monitoring": {"traces": {"env": [{"name": "WHARFINGER_LISTEN", "value": "x"}]}}}, "/monitoring/traces/env/0/name"),
        ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "/topologySpreadConstraints/0"),
        ({"podAnnotations": {"a": 1}}, "/podAnnotations/a"),
        ({"dns": {"platform": "Azure"}}, "/dns/platform"),
        ({"dns": {"addresses": ["kube-dns"]}}, "/dns/addresses/0"),
        ({"dns": {"platform": "EKSAuto"}}, "/dns/addresses"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_and_named(helm: Path, values: dict[str, Any], words: str) -> None:
    done = template(helm, values)

    assert done.returncode != 0
    assert words in done.stderr.replace("'/", "/"), done.stderr


def test_every_object_of_the_schema_says_which_keys_it_has() -> None:
    def open_objects(node: dict[str, Any], where: str) -> list[str]:
        name = where.rsplit(".", 1)[-1]
        closed = node.get("additionalProperties") is not None or name in FREE
        found = [where] if node.get("type") == "object" and not closed else []
        for key in ("properties", "definitions"):
            for child, schema in node.get(key, {}).items():
                found += open_objects(schema, f"{where}.{child}")
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                found += open_objects(node[key], f"{where}.{key}")
        return found

    schema = json.loads((CHART / "values.schema.json").read_text())

    assert open_objects(schema, "values") == []
    assert schema["properties"].keys() - {"global"} == yaml.safe_load((CHART / "values.yaml").read_text()).keys()


@pytest.mark.parametrize("values", [{}, TENANTS, FULL, BY_SERVICE], ids=["default", "tenants", "full", "by-service"])
def test_what_is_rendered_is_named_once_and_labelled(helm: Path, values: dict[str, Any]) -> None:
    manifests = render(helm, values)
    keys = [(m["kind"], m["metadata"].get("namespace", ""), m["metadata"]["name"]) for m in manifests]

    assert len(keys) == len(set(keys))
    ours = [m for m in manifests if m["kind"] not in {"CustomResourceDefinition", "Namespace"}]
    assert [m["kind"] for m in ours if m["metadata"]["labels"].get("app.kubernetes.io/name") != "wharfinger"] == []


def test_what_needs_crds_of_others_is_off_unless_asked_for(helm: Path) -> None:
    def kinds(values: dict[str, Any]) -> set[str]:
        return {m["kind"] for m in render(helm, values)}

    assert kinds(FULL) - kinds(TENANTS) == {"PodMonitor", "PrometheusRule"}
    assert kinds(BY_SERVICE) - kinds(TENANTS) == {"ServiceMonitor"}


def variables(helm: Path, values: dict[str, Any], beginning: str) -> dict[str, Any]:
    """Return the gateway's variables whose names begin so."""
    (deployment,) = [one for one in of_kind(render(helm, values), "Deployment") if one["metadata"]["name"] == "wharfinger-gateway"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value") for one in container["env"] if one["name"].startswith(beginning)}


@pytest.mark.requirement("OPS-6")
def test_audit_records_have_arguments_only_where_that_is_asked_for(helm: Path) -> None:
    assert variables(helm, FULL, "WHARFINGER_AUDIT") == {}
    asked = {"monitoring": {"audit": {"argumentBytes": 2048}}}
    assert variables(helm, asked, "WHARFINGER_AUDIT") == {"WHARFINGER_AUDIT_ARGUMENT_BYTES": "2048"}


@pytest.mark.requirement("OPS-6")
def test_the_gateway_is_told_of_a_collector_where_one_is_named(helm: Path) -> None:
    assert variables(helm, {}, "OTEL_") == {}
    assert variables(helm, {"monitoring": {"traces": {"env": [{"name": "OTEL_TRACES_SAMPLER", "value": "always_on"}]}}}, "OTEL_") == {}
    assert variables(helm, FULL, "OTEL_") == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.observability.svc:4318",
        "OTEL_RESOURCE_ATTRIBUTES": "k8s.namespace.name=$(WHARFINGER_NAMESPACE),k8s.pod.name=$(WHARFINGER_POD)",
        "OTEL_TRACES_SAMPLER": "always_on",
    }


@pytest.mark.requirement("OPS-2")
@pytest.mark.parametrize("values", [{}, FULL], ids=["default", "full"])
def test_both_programs_are_hardened_spread_and_kept_through_disruptions(helm: Path, values: dict[str, Any]) -> None:
    manifests = render(helm, values)
    budgets = {m["metadata"]["name"]: m["spec"] for m in of_kind(manifests, "PodDisruptionBudget")}

    for deployment in of_kind(manifests, "Deployment"):
        name, pod = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
        selector = deployment["spec"]["selector"]
        assert budgets[name] == {"maxUnavailable": 1, "selector": selector}
        (spread,) = pod["topologySpreadConstraints"]
        assert (spread["labelSelector"], spread["whenUnsatisfiable"]) == (selector, "ScheduleAnyway")
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@pytest.mark.requirement("ENV-4")
def test_every_server_namespace_gets_what_the_operator_takes_for_its_default_deny(helm: Path) -> None:
    servers = [{"name": "mcp-prod", "create": True}, {"name": "mcp-dev", "create": False}]
    policies = of_kind(render(helm, {"namespaces": {"servers": servers}}), "NetworkPolicy")

    assert {p["metadata"]["namespace"] for p in policies if is_default_deny(p)} == {"mcp-prod", "mcp-dev"}


WHO_MAY = {"http": "gatewayFrom", "logs": "logsFrom", "probes": "metricsFrom"}
"""By the name of a port, the part of networkPolicy that says who may open connections to it."""


@pytest.mark.requirement("OPS-2", "INS-9")
@pytest.mark.parametrize(
    "named", [{}, {value: [{"podSelector": {}}] for value in WHO_MAY.values()}], ids=["nobody-named", "somebody-named"]
)
def test_the_network_policies_open_every_port_that_a_service_leads_to(helm: Path, named: dict[str, Any]) -> None:
    manifests = render(helm, {**BY_SERVICE, "networkPolicy": {"enabled": True, **named}})
    namespace = "wharfinger-system"
    policies = [p["spec"] for p in of_kind(manifests, "NetworkPolicy") if p["metadata"]["namespace"] == namespace]

    for service in of_kind(manifests, "Service"):
        led_to = service["spec"]["selector"].items()
        pods = [d["spec"]["template"]["metadata"]["labels"] for d in of_kind(manifests, "Deployment")]
        for labels in [pod for pod in pods if led_to <= pod.items()]:
            rules = [r for p in policies if p["podSelector"]["matchLabels"].items() <= labels.items() for r in p["ingress"]]
            for port in service["spec"]["ports"]:
                opening = [rule.get("from", []) for rule in rules if port["targetPort"] in {each["port"] for each in rule["ports"]}]
                assert named.get(WHO_MAY[port["name"]], []) in opening, (service["metadata"]["name"], port)
                assert ([] in opening) is not bool(named)


def test_without_admission_no_policy_is_made(helm: Path) -> None:
    assert of_kind(render(helm, TENANTS), "ValidatingAdmissionPolicy")
    off = render(helm, {**TENANTS, "admission": {"enabled": False}})
    assert of_kind(off, "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding") == []


@pytest.mark.requirement("ENV-2")
def test_the_operator_takes_the_policy_for_restricted_environments_as_it_comes_for_one_in_force(helm: Path) -> None:
    kinds = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    for values in ({}, TENANTS):
        found = {m["kind"]: m for m in of_kind(render(helm, values), *kinds) if m["metadata"]["name"] == names.RESTRICTED_ASSIGNMENT}
        assert is_in_force(*(found[kind] for kind in kinds))


@pytest.mark.requirement("OPS-2")
def test_no_role_of_the_programs_has_a_wildcard_escalates_or_reads_secrets_of_the_whole_cluster(helm: Path) -> None:
    for role in of_kind(render(helm, FULL), "ClusterRole", "Role"):
        for rule in role["rules"]:
            words = {*rule["verbs"], *rule["resources"], *rule["apiGroups"]}
            assert not words & {"*", "escalate", "bind", "impersonate"}, role["metadata"]["name"]
            assert role["kind"] == "Role" or "secrets" not in rule["resources"], role["metadata"]["name"]


def test_the_notes_say_what_to_do_next(helm: Path) -> None:
    command = [str(helm), "install", "wharfinger", str(CHART), "-n", "x", "--dry-run=client", "-f", "-"]
    done = subprocess.run(command, input=json.dumps(TENANTS), capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr
    notes = done.stdout.split("NOTES:")[1]
    assert "4. installations, gateways  in team-a" in notes
    assert "kubectl get mcp -A" in notes
    assert "set namespaces.tenants" not in notes


@pytest.mark.requirement("ORC-7")
def test_pod_defaults_of_the_values_are_settings_that_the_operator_reads(helm: Path) -> None:
    wanted = {"nodeSelector": {"pool": "mcp"}, "tolerations": [{"operator": "Exists"}], "resources": {"limits": {"memory": "1Gi"}}}
    (found,) = [
        m
        for m in render(helm, {"servers": {"podDefaults": wanted}})
        if m["kind"] == "ConfigMap" and m["metadata"]["name"] == names.SETTINGS_CONFIGMAP
    ]

    assert read_settings(found["data"][names.SETTINGS_KEY]).servers.pod_defaults == PodDefaults.model_validate(wanted)


@pytest.mark.requirement("AUT-1", "AUT-5", "OPS-2")
def test_the_login_example_gives_settings_that_both_programs_read(helm: Path) -> None:
    values = yaml.safe_load((CHART.parents[1] / "examples/02-login/helm/values.yaml").read_text())
    (found,) = [m for m in render(helm, values) if m["kind"] == "ConfigMap" and m["metadata"]["name"] == names.SETTINGS_CONFIGMAP]
    settings = read_settings(found["data"][names.SETTINGS_KEY])

    (provider,) = settings.identity_providers
    assert (provider.name, provider.issuer, provider.groups_claim) == ("okta", "https://login.example.com", "groups")
    (team,) = settings.teams
    assert [group.group for group in team.groups] == ["engineering"]
    assert [account.name for account in team.service_accounts] == ["researcher"]
    assert settings.teams_of("clients:nightly") == {"engineering"}
    assert [client.id for client in settings.oauth.clients] == ["nightly"]
