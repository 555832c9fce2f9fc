"""The pods and policies of a probe: as hardened as servers, opened for each other only, and gone by themselves."""

from typing import Any

import pytest

from wharfinger_crds.pod_defaults import PodDefaults
from wharfinger_operator.plan.hardening import CHECKS, Subject, foreign_account
from wharfinger_operator.plan.probe import ATTEMPTS, CANARIES, LIFETIME, ProbeQuestion, job, policies

WISHES = PodDefaults.model_validate({"nodeSelector": {"pool": "mcp"}, "resources": {"limits": {"memory": "4Gi"}}})
QUESTION = ProbeQuestion("prod", "u", 1, "servers", "Cilium", "registry.acme.dev/base:1", (None, WISHES))


def jobs() -> dict[str, dict[str, Any]]:
    target = job(QUESTION, "abcd", "target")
    return {"target": target, **{role: job(QUESTION, "abcd", role, address="10.0.0.9", owner="uid-1") for role in CANARIES}}


@pytest.mark.requirement("ENV-6")
def test_the_pods_of_a_probe_pass_every_rule_of_hardening_and_run_where_servers_run() -> None:
    for found in jobs().values():
        template = found["spec"]["template"]
        labels = template["metadata"]["labels"]
        subject = Subject({"spec": {"template": template, "selector": {"matchLabels": labels}}}, "", labels, frozenset())
        assert [(check.__name__, list(check(subject))) for check in CHECKS if check is not foreign_account and list(check(subject))] == []
        assert template["spec"]["automountServiceAccountToken"] is False
        assert template["spec"]["nodeSelector"] == {"pool": "mcp"}
        assert [container["name"] for container in template["spec"]["containers"]] == ["egress-probe"]


@pytest.mark.requirement("ENV-6")
def test_everything_of_a_probe_ends_by_itself_and_goes_with_its_target() -> None:
    made = jobs()

    assert made["target"]["spec"]["ttlSecondsAfterFinished"] == 0
    for found in made.values():
        assert found["spec"]["activeDeadlineSeconds"] == LIFETIME > ATTEMPTS * 3
    for found in (*(made[role] for role in CANARIES), *policies(QUESTION, "abcd", "uid-1")):
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": made["target"]["metadata"]["name"], "uid": "uid-1"}
        assert found["metadata"]["ownerReferences"] == [owner]


@pytest.mark.requirement("ENV-6")
def test_only_this_run_s_control_gets_out_and_only_to_this_run_s_target() -> None:
    made = policies(QUESTION, "abcd", "uid-1")
    opened = [p for p in made if p["spec"].get("egress") not in (None, [{}])]
    shut = {p["kind"]: p for p in made if p not in opened and "Ingress" not in p["spec"].get("policyTypes", ())}

    (control,) = opened
    assert control["spec"]["podSelector"] == {"matchLabels": {"wharfinger.dev/probe": "abcd", "wharfinger.dev/probe-role": "control"}}
    assert control["spec"]["egress"] == [
        {
            "to": [{"podSelector": {"matchLabels": {"wharfinger.dev/probe": "abcd", "wharfinger.dev/probe-role": "target"}}}],
            "ports": [{"protocol": "TCP", "port": 8080}],
        }
    ]
    assert sorted(shut) == ["CiliumNetworkPolicy", "NetworkPolicy"]
    assert shut["CiliumNetworkPolicy"]["spec"]["egress"] == [{}]
    assert shut["NetworkPolicy"]["spec"]["policyTypes"] == ["Egress"]
    assert [p["kind"] for p in policies(ProbeQuestion("e", "u", 1, "n", "AWS", "i"), "abcd", "u")] == ["NetworkPolicy"] * 3


def test_another_provider_or_edit_is_another_question() -> None:
    others = [ProbeQuestion("prod", "u", 2, "servers", "Cilium", "i"), ProbeQuestion("prod", "u", 1, "servers", "AWS", "i")]

    assert len({QUESTION.fingerprint, *(other.fingerprint for other in others)}) == 3
