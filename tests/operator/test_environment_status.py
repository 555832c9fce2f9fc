"""What an environment says about its egress: who enforces it, and how exactly."""

from typing import Any

import pytest

from manifest_world import NOW, SETTINGS
from wharfinger_crds import conditions as c
from wharfinger_crds.environment import Environment, EnvironmentStatus
from wharfinger_crds.pod_defaults import PodDefaults
from wharfinger_crds.presets import presets
from wharfinger_crds.settings import Servers
from wharfinger_operator.cluster_facts import ClusterFacts, DaemonSetFact, NodeSort, PolicyKind
from wharfinger_operator.plan.environment import environment_status
from wharfinger_operator.world import DnsPeer, EnvironmentWorld

ADDRESSED = DnsPeer(blocks=("10.96.0.10/32",))
SERVED = {"CiliumNetworkPolicy": PolicyKind()}


def status(kinds: dict[str, PolicyKind] | None = None, dns: DnsPeer = ADDRESSED, **egress: Any) -> EnvironmentStatus:
    spec = {"title": "X", "egress": {"mode": "Restricted", **egress}}
    environment = Environment.parse({"metadata": {"name": "prod", "generation": 3}, "spec": spec})
    world = EnvironmentWorld(environment, (), (), SETTINGS, closed=True, cluster=ClusterFacts(policy_kinds=kinds or {}), dns=dns)
    return environment_status(world, NOW)


def said(found: EnvironmentStatus, kind: str) -> tuple[str, str]:
    condition = found.condition(kind)
    assert condition is not None
    return (condition.status, condition.reason)


@pytest.mark.requirement("ENV-5")
@pytest.mark.parametrize(
    ("provider", "name", "source", "resolved", "domains"),
    [
        ("Auto", "NetworkPolicy", "Detected", ("True", "Succeeded"), ("False", "NoFQDNProvider")),
        ("NetworkPolicy", "NetworkPolicy", "Override", ("True", "Succeeded"), ("False", "NoFQDNProvider")),
        ("Cilium", "Cilium", "Override", ("True", "Succeeded"), ("Unknown", "AwaitingProvider")),
        ("AWS", "NetworkPolicy", "Override", ("False", "ProviderMissing"), ("False", "NoFQDNProvider")),
    ],
)
def test_the_provider_and_what_it_means_for_domains_are_said(
    provider: str, name: str, source: str, resolved: tuple[str, str], domains: tuple[str, str]
) -> None:
    found = status(SERVED, provider=provider, domains=[{"name": "a.example"}])

    assert found.provider is not None
    assert (found.provider.name, found.provider.source) == (name, source)
    assert said(found, c.PROVIDER_RESOLVED) == resolved
    assert said(found, c.DOMAIN_RULES_ENFORCED) == domains
    assert said(found, c.READY)[0] == resolved[0]
    assert said(found, c.EGRESS_ENFORCED) == ("Unknown", "NoEvidence")


@pytest.mark.requirement("ENV-5")
def test_a_missing_provider_is_said_with_what_to_install() -> None:
    missing, strange = (
        status(provider="Cilium"),
        status({"CiliumNetworkPolicy": PolicyKind("there is something strange")}, provider="Cilium"),
    )

    assert "serves no CiliumNetworkPolicy: install Cilium; until then domains stay shut" in str(missing.condition(c.READY))
    assert "but there is something strange: install Cilium" in str(strange.condition(c.PROVIDER_RESOLVED))
    assert missing.condition(c.RECONCILING) is not None


@pytest.mark.requirement("ENV-3")
def test_expanded_domains_and_the_version_of_presets_are_said() -> None:
    found = status(presets=["linear", "openai"], domains=[{"name": "api.openai.com"}, {"name": "a.example"}])

    assert (found.domains, found.preset_version) == (4, presets().version)
    assert (status().domains, status().preset_version) == (0, None)
    assert said(status(), c.DOMAINS_EXACT) == ("True", "NotNeeded")
    assert said(status(), c.DOMAIN_RULES_ENFORCED) == ("True", "NotNeeded")


@pytest.mark.requirement("ENV-3")
@pytest.mark.parametrize("egress", [{"presets": ["nothing"]}, {"domains": [{"name": "☃.example"}]}, {"cidrs": [{"cidr": "x"}]}])
def test_rules_that_mean_nothing_are_not_accepted_and_say_nothing_else(egress: dict[str, Any]) -> None:
    found = status(SERVED, provider="Cilium", **egress)

    assert said(found, c.ACCEPTED) == ("False", "Invalid")
    assert said(found, c.STALLED)[0] == "True"
    assert found.condition(c.DOMAINS_EXACT) is None


@pytest.mark.requirement("ENV-5")
@pytest.mark.parametrize(
    ("provider", "dns", "reason"),
    [
        ("NetworkPolicy", DnsPeer(), "Succeeded"),
        ("NetworkPolicy", DnsPeer(pods=()), "DNSUnknown"),
        ("AWS", DnsPeer(), "DNSUnknown"),
        ("AWS", DnsPeer(pods=(), blocks=("172.20.0.10/32",)), "Succeeded"),
    ],
)
def test_servers_that_could_look_up_no_name_are_said(provider: str, dns: DnsPeer, reason: str) -> None:
    kinds = {"ApplicationNetworkPolicy": PolicyKind()}

    assert said(status(kinds, dns, provider=provider, domains=[{"name": "a.example"}]), c.PROVIDER_RESOLVED)[1] == reason
    assert said(status(kinds, dns, provider=provider), c.PROVIDER_RESOLVED)[1] == "Succeeded", "nothing is opened, so no name is needed"


@pytest.mark.requirement("ENV-5")
def test_what_an_api_server_says_at_length_fits_into_the_evidence() -> None:
    kinds = {"FQDNNetworkPolicy": PolicyKind("x" * 2000, unread=True)}
    facts = ClusterFacts(nodes=frozenset({NodeSort("gce")}), daemon_sets={"anetd": DaemonSetFact(ready=True)}, policy_kinds=kinds)
    environment = Environment.parse({"metadata": {"name": "prod"}, "spec": {"title": "X", "egress": {"mode": "DenyAll"}}})

    found = environment_status(EnvironmentWorld(environment, (), (), SETTINGS, closed=True, cluster=facts), NOW)

    assert found.provider is not None
    assert max(map(len, found.provider.evidence)) == 253


@pytest.mark.requirement("ENV-5")
@pytest.mark.parametrize("where", ["platform", "environment"])
def test_servers_that_are_kept_on_nodes_of_auto_mode_are_not_said_to_run_on_others(where: str) -> None:
    auto, other = NodeSort("aws", frozenset({("eks.amazonaws.com/compute-type", "auto")})), NodeSort("aws")
    facts = ClusterFacts(
        nodes=frozenset({auto, other}),
        config={"amazon-vpc-cni": {"enable-network-policy-controller": "true"}},
        policy_kinds={"ApplicationNetworkPolicy": PolicyKind()},
    )
    pin = PodDefaults.model_validate({"nodeSelector": {"eks.amazonaws.com/compute-type": "auto"}})
    asks = {"title": "X", "egress": {"mode": "Restricted", "domains": [{"name": "a.example"}]}}
    loose = Environment.parse({"metadata": {"name": "prod"}, "spec": asks})
    tight = Environment.parse({"metadata": {"name": "prod"}, "spec": {**asks, "podDefaults": pin.manifest()}})
    settings = SETTINGS.model_copy(update={"servers": Servers(pod_defaults=pin)}) if where == "platform" else SETTINGS
    pinned = environment_status(
        EnvironmentWorld(tight if where == "environment" else loose, (), (), settings, closed=True, cluster=facts, dns=ADDRESSED), NOW
    )
    mixed = environment_status(EnvironmentWorld(loose, (), (), SETTINGS, closed=True, cluster=facts, dns=ADDRESSED), NOW)

    assert said(pinned, c.DOMAIN_RULES_ENFORCED) == ("Unknown", "AwaitingProvider")
    assert said(mixed, c.DOMAIN_RULES_ENFORCED) == ("False", "NotAutoMode")
