"""What counts as evidence that egress rules are enforced, and what waits for it."""

from dataclasses import replace
from typing import Any

import pytest

from manifest_world import NOW, SETTINGS
from wharfinger_crds import conditions as c
from wharfinger_crds.environment import Environment, EnvironmentStatus
from wharfinger_crds.installation import Installation
from wharfinger_operator.cluster_facts import ClusterFacts, DaemonSetFact, PolicyKind
from wharfinger_operator.plan.enforcement import AWS_FINALIZERS, acknowledged, held_back, inherited
from wharfinger_operator.plan.environment import environment_status, probe_known, probe_question
from wharfinger_operator.plan.probe import concluded
from wharfinger_operator.world import EnvironmentWorld

CILIUM = ClusterFacts(daemon_sets={"cilium": DaemonSetFact(ready=True)}, policy_kinds={"CiliumNetworkPolicy": PolicyKind()})
AUDITING = replace(CILIUM, config={"cilium-config": {"policy-audit-mode": "true"}})
DATAPLANE_V2 = ClusterFacts(daemon_sets={"anetd": DaemonSetFact(ready=True)}, policy_kinds={"FQDNNetworkPolicy": PolicyKind()})
PASSED, FAILED = concluded("reached", "blocked"), concluded("reached", "reached")
DOMAINS = [{"name": "api.example.com"}]


def environment(status: dict[str, Any] | None = None, **egress: Any) -> Environment:
    spec = {"title": "X", "egress": {"mode": "Restricted", **egress}}
    return Environment.parse({"metadata": {"name": "prod", "uid": "u", "generation": 3}, "spec": spec, "status": status or {}})


def installation(finding: c.Finding) -> Installation:
    conditions = [condition(finding)]
    spec = {"entryRef": {"name": "x"}, "owner": {"team": "a"}}
    return Installation.parse({"metadata": {"name": "one", "namespace": "team-a"}, "spec": spec, "status": {"conditions": conditions}})


def condition(finding: c.Finding) -> dict[str, Any]:
    return {"type": finding.type, "status": finding.status, "reason": finding.reason, "message": finding.message, "lastTransitionTime": NOW}


def judged(*findings: c.Finding, generation: int = 3, enforcement: str = "Require") -> Environment:
    status = {"observedGeneration": generation, "conditions": [condition(f) for f in findings]}
    return environment(status, enforcement=enforcement)


def world(found: Environment, cluster: ClusterFacts = CILIUM, *said: c.Finding, probe: c.Finding | None = None) -> EnvironmentWorld:
    return EnvironmentWorld(found, (), tuple(map(installation, said)), SETTINGS, closed=True, cluster=cluster, probe=probe)


def enforced(status: EnvironmentStatus, kind: str = c.EGRESS_ENFORCED) -> tuple[str, str]:
    found = status.condition(kind)
    assert found is not None
    return found.status, found.reason


def policy(kind: str, *, valid: str = "", finalizer: str = "", deleted: bool = False) -> dict[str, Any]:
    status = {"conditions": [{"type": "Valid", "status": valid, "message": "bad rule"}]} if valid else {}
    metadata = {"name": "x", **({"finalizers": [finalizer]} if finalizer else {}), **({"deletionTimestamp": NOW} if deleted else {})}
    return {"kind": kind, "metadata": metadata, "status": status}


VALID = acknowledged([policy("CiliumNetworkPolicy", valid="True")], "Cilium")
REJECTED = acknowledged([policy("CiliumNetworkPolicy", valid="False")], "Cilium")


@pytest.mark.requirement("ENV-6")
@pytest.mark.parametrize(
    ("policies", "provider", "expected"),
    [
        ([], "Cilium", ("Unknown", "NoEvidence")),
        ([policy("NetworkPolicy")], "NetworkPolicy", ("Unknown", "NoEvidence")),
        ([policy("CiliumNetworkPolicy")], "Cilium", ("Unknown", "NoEvidence")),
        ([policy("CiliumNetworkPolicy", valid="True")], "Cilium", ("True", "ProviderAcknowledged")),
        ([policy("CiliumNetworkPolicy", valid="True", deleted=True)], "Cilium", ("Unknown", "NoEvidence")),
        ([policy("CiliumNetworkPolicy", valid="True")], "NetworkPolicy", ("Unknown", "NoEvidence")),
        ([policy("CiliumNetworkPolicy", valid="False")], "Cilium", ("False", "PolicyRejected")),
        ([policy(kind, finalizer=mark) for kind, mark in AWS_FINALIZERS.items()], "AWS", ("True", "ProviderAcknowledged")),
        ([policy("NetworkPolicy", finalizer="networking.k8s.aws/resources")], "NetworkPolicy", ("True", "ProviderAcknowledged")),
        (
            [policy("NetworkPolicy", finalizer="networking.k8s.aws/resources"), policy("ApplicationNetworkPolicy")],
            "AWS",
            ("Unknown", "NoEvidence"),
        ),
        ([policy("NetworkPolicy"), policy("FQDNNetworkPolicy")], "GKE", ("Unknown", "NoEvidence")),
    ],
)
def test_only_the_provider_s_own_word_about_all_policies_of_a_server_counts(
    policies: list[dict[str, Any]], provider: str, expected: tuple[str, str]
) -> None:
    found = acknowledged(policies, provider)

    assert (found.status, found.reason) == expected


@pytest.mark.requirement("ENV-6")
@pytest.mark.parametrize(
    ("cluster", "said", "probe", "expected"),
    [
        (CILIUM, (), None, ("Unknown", "NoEvidence")),
        (CILIUM, (VALID,), None, ("True", "ProviderAcknowledged")),
        (CILIUM, (), PASSED, ("True", "ProbePassed")),
        (CILIUM, (VALID,), FAILED, ("False", "ProbeFailed")),
        (CILIUM, (), concluded("blocked", "blocked"), ("Unknown", "ProbeInconclusive")),
        (CILIUM, (), concluded("reached", "mixed"), ("Unknown", "ProbeInconclusive")),
        (CILIUM, (VALID,), concluded("", ""), ("True", "ProviderAcknowledged")),
        (AUDITING, (VALID,), None, ("False", "AuditMode")),
        (AUDITING, (), PASSED, ("True", "ProbePassed")),
    ],
)
def test_what_was_tried_counts_before_what_settings_rule_out_and_that_before_a_provider_s_word(
    cluster: ClusterFacts, said: tuple[c.Finding, ...], probe: c.Finding | None, expected: tuple[str, str]
) -> None:
    found = environment(probe="On" if probe else "Off")

    assert enforced(environment_status(world(found, cluster, *said, probe=probe), NOW)) == expected


@pytest.mark.requirement("ENV-6")
def test_rules_for_domains_are_in_force_when_their_policies_are_acknowledged_and_never_on_gke() -> None:
    asks = environment(domains=DOMAINS)

    assert enforced(environment_status(world(asks), NOW), c.DOMAIN_RULES_ENFORCED) == ("Unknown", "AwaitingProvider")
    assert enforced(environment_status(world(asks, CILIUM, VALID), NOW), c.DOMAIN_RULES_ENFORCED) == ("True", "ProviderAcknowledged")
    refused = environment_status(world(asks, CILIUM, REJECTED), NOW)
    assert enforced(refused, c.DOMAIN_RULES_ENFORCED) == ("False", "PolicyRejected")
    assert "team-a/one" in str(refused.condition(c.DOMAIN_RULES_ENFORCED))
    on_gke = environment_status(world(environment(domains=DOMAINS, provider="GKE"), DATAPLANE_V2), NOW)
    assert enforced(on_gke, c.DOMAIN_RULES_ENFORCED) == ("Unknown", "AwaitingProvider")


@pytest.mark.requirement("ENV-6")
def test_a_probe_s_verdict_outlives_the_program_and_no_change_of_the_environment_or_its_provider() -> None:
    before = environment_status(world(environment(probe="On"), probe=PASSED), NOW).model_dump(mode="json", by_alias=True)
    again = environment(before, probe="On")

    assert environment_status(world(again), NOW) == again.status
    assert probe_known(world(again))
    edited = again.model_copy(update={"metadata": again.metadata.model_copy(update={"generation": 4})})
    for other in (world(edited), world(again, ClusterFacts()), world(environment(before, probe="Off"))):
        assert enforced(environment_status(other, NOW))[0] == "Unknown"


def test_nothing_is_probed_that_does_not_ask_for_it_or_is_not_accepted() -> None:
    assert probe_question(world(environment())) is None
    assert probe_question(world(environment(probe="On", presets=["nothing"]))) is None
    asked = probe_question(world(environment(probe="On")))
    assert asked is not None
    assert (asked.provider, asked.namespace) == ("Cilium", "wharfinger-servers")


@pytest.mark.requirement("ENV-6")
def test_an_installation_says_what_its_own_policies_show_within_what_is_known_of_its_environment() -> None:
    silent = acknowledged([], "Cilium")
    true_by_others = c.true(c.EGRESS_ENFORCED, c.PROVIDER_ACKNOWLEDGED)

    assert inherited(judged(true_by_others), silent) == silent
    assert inherited(judged(true_by_others), VALID) == VALID
    assert inherited(judged(PASSED), silent) == PASSED
    assert inherited(judged(PASSED), REJECTED) == REJECTED
    assert inherited(judged(FAILED), VALID) == FAILED
    assert inherited(judged(PASSED, generation=2), silent) == silent


NOT_NEEDED = c.true(c.DOMAIN_RULES_ENFORCED, c.NOT_NEEDED)
OPEN = c.unknown(c.EGRESS_ENFORCED, c.NO_EVIDENCE, "nothing is known")


@pytest.mark.requirement("ENV-6")
@pytest.mark.parametrize(
    ("judgement", "starts", "goes_on"),
    [
        ((PASSED, NOT_NEEDED), True, True),
        ((OPEN, NOT_NEEDED), False, True),
        ((PASSED, c.unknown(c.DOMAIN_RULES_ENFORCED, c.AWAITING_PROVIDER, "")), False, True),
        ((FAILED, NOT_NEEDED), False, False),
        ((PASSED, c.false(c.DOMAIN_RULES_ENFORCED, c.ACNS_REQUIRED, "")), False, False),
        ((), False, True),
    ],
)
def test_what_is_not_known_starts_nothing_and_stops_nothing_and_what_is_not_enforced_closes(
    judgement: tuple[c.Finding, ...], starts: bool, goes_on: bool
) -> None:
    found = judged(*judgement)

    assert (held_back(found, runs=False) is None) == starts
    assert (held_back(found, runs=True) is None) == goes_on
    assert held_back(judged(*judgement, enforcement="Report"), runs=False) is None


def test_what_is_known_of_an_earlier_edit_of_the_environment_neither_starts_nor_stops() -> None:
    for judgement in (PASSED, FAILED):
        assert held_back(judged(judgement, NOT_NEEDED, generation=2), runs=True) is None
        waits = held_back(judged(judgement, NOT_NEEDED, generation=2), runs=False)
        assert waits is not None
        assert waits.reason == c.WAITING
