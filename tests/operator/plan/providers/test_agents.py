"""What no schema checks and agents and controllers refuse, drop or misread: looked for in everything that providers make of every case."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agent_rules
from agent_rules import Made, broken, rules
from golden import cases
from provider_fence import PROVIDERS, Manifest, scene, scene_of
from wharfinger_crds.address_ranges import METADATA, network, within

CASES = cases(__file__)


@pytest.mark.requirement("ENV-3", "ENV-4", "ENV-5")
def test_what_agents_and_controllers_do_with_it_was_thought_of(case: Path) -> None:
    assert broken(scene_of(case)) == []


ports = st.lists(
    st.integers(1, 65535).flatmap(
        lambda p: st.fixed_dictionaries(
            {"port": st.just(p)}, optional={"endPort": st.integers(p, 65535), "protocol": st.sampled_from(["TCP", "UDP", "SCTP"])}
        )
    ),
    max_size=16,
)
blocks = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).flatmap(
    lambda a: st.integers(0, a.max_prefixlen).map(lambda length: f"{a}/{length}")
)
domains = st.from_regex(r"(\*{1,2}\.)?[a-z0-9]{1,9}(\.[a-z0-9]{1,9}){0,2}\.[a-z]{2,5}", fullmatch=True)
egress = st.fixed_dictionaries({
    "mode": st.just("Restricted"),
    "cidrs": st.lists(st.fixed_dictionaries({"cidr": blocks, "ports": ports}), max_size=4),
    "domains": st.lists(st.fixed_dictionaries({"name": domains, "ports": ports}), max_size=6, unique_by=str),
    "presets": st.lists(st.sampled_from(["github", "slack", "oci"]), max_size=2, unique=True),
    "services": st.lists(st.fixed_dictionaries({"namespace": st.just("data"), "ports": ports}), max_size=2),
})  # fmt: skip


@pytest.mark.requirement("ENV-3", "ENV-4")
@settings(deadline=None, max_examples=50)
@given(egress, st.sampled_from(["Generic", "OpenShift", "Gardener", "AKSLocalDNS", "CloudDNS"]))
def test_the_same_holds_for_any_rules(found: dict[str, Any], platform: str) -> None:
    found["cidrs"] = [rule for rule in found["cidrs"] if not any(within(network(rule["cidr"]), m) for m in METADATA)]
    environment = {"kind": "Environment", "metadata": {"name": "x"}, "spec": {"title": "X", "egress": found}}

    made = scene([environment, {"kind": "Cluster", "dns": {"platform": platform}, "ranges": ["198.51.100.0/28"]}])

    assert broken(made) == []
    assert broken(replace(made, fence=replace(made.fence, dns=replace(made.fence.dns, pods=(), blocks=("10.0.0.10/32",))))) == []


@pytest.mark.requirement("ENV-4")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_who_may_reach_nothing_gets_no_dns_either(provider: str) -> None:
    for case in (c for c in CASES if c.name in {"deny-all.in.yaml", "restricted-nothing.in.yaml"}):
        made = scene_of(case).policies(provider)

        assert rules(made, "NetworkPolicy") == []
        assert rules(made, "CiliumNetworkPolicy") == ([{}] if provider == "Cilium" else [])
        assert len(made) == (2 if provider == "Cilium" else 1)


@pytest.mark.requirement("ENV-4")
def test_domains_open_nothing_in_the_base_layer_but_dns() -> None:
    (case,) = (c for c in CASES if c.name == "restricted-domains.in.yaml")

    for provider in PROVIDERS:
        opened = {port["port"] for rule in rules(scene_of(case).policies(provider), "NetworkPolicy") for port in rule["ports"]}
        assert opened <= {53, "dns", "dns-tcp"}


@pytest.mark.requirement("ENV-4")
def test_without_anything_that_answers_names_there_is_no_rule_for_them() -> None:
    (case,) = (c for c in CASES if c.name == "restricted-domains.in.yaml")
    made = scene_of(case)
    unanswered = replace(made, fence=replace(made.fence, dns=replace(made.fence.dns, pods=(), blocks=())))

    for provider in ("NetworkPolicy", "AWS", "GKE"):
        assert rules(unanswered.policies(provider), "NetworkPolicy") == []


@pytest.mark.requirement("ENV-5")
@pytest.mark.parametrize(
    ("provider", "domains", "status", "reason", "words"),
    [
        ("Cilium", [{"name": "a.example"}, {"name": "*.b.example"}], "True", "Succeeded", ""),
        ("Cilium", [{"name": "**.b.example"}], "False", "DomainDepthLimited", "**.b.example"),
        ("AWS", [{"name": "a.example"}, {"name": "**.b.example"}], "True", "Succeeded", ""),
        ("AWS", [{"name": "*.b.example"}], "False", "DomainWidened", "*.b.example"),
        ("GKE", [{"name": "a.example"}, {"name": "*.b.example"}], "True", "Succeeded", ""),
        ("GKE", [{"name": "**.b.example"}], "False", "DomainDepthLimited", "**.b.example"),
        ("GKE", [{"name": "a.example", "ports": [{"port": 1, "endPort": 2}]}], "False", "PortsUnsupported", "a.example"),
        ("GKE", [{"name": f"a{i}.example"} for i in range(51)], "False", "TooManyAddresses", "51 domains"),
        ("GKE", [{"name": f"**.a{i}.example"} for i in range(12)], "False", "DomainDepthLimited", "**.a7.example and 2 more"),
        ("NetworkPolicy", [{"name": "a.example"}], "Unknown", "NoFQDNProvider", "stay shut"),
    ],
)
def test_what_a_provider_cannot_say_exactly_is_said(
    provider: str, domains: list[dict[str, Any]], status: str, reason: str, words: str
) -> None:
    egress = {"mode": "Restricted", "domains": domains}
    made = scene([{"kind": "Environment", "metadata": {"name": "x"}, "spec": {"title": "X", "egress": egress}}])
    found = made.provider(provider).domains_exact(made.rules)

    assert (found.type, found.status, found.reason) == ("DomainsExact", status, reason)
    assert words in found.message


@pytest.mark.requirement("ENV-5")
@pytest.mark.parametrize(
    ("cidrs", "blocks"),
    [
        # One rule's hole would shut the other rule's block too.
        (
            [{"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]}, {"cidr": "203.0.113.128/25"}],
            ["203.0.113.0/25", "203.0.113.128/25"],
        ),
        # Too many pieces: the hole stays, and the block that equals it is longer as two halves.
        ([{"cidr": "0.0.0.0/0"}, {"cidr": "10.0.0.0/8"}], ["0.0.0.0/0", "10.0.0.0/9", "10.128.0.0/9"]),
        ([{"cidr": "198.51.100.0/30", "except": ["198.51.100.2/32"]}], ["198.51.100.0/31", "198.51.100.3/32"]),
    ],
)
def test_a_hole_of_one_block_shuts_no_other_one_on_aws(cidrs: list[dict[str, Any]], blocks: list[str]) -> None:
    egress = {"mode": "Restricted", "cidrs": cidrs}
    made = scene([{"kind": "Environment", "metadata": {"name": "x"}, "spec": {"title": "X", "egress": egress}}]).policies("AWS")

    found = [peer["ipBlock"] for rule in rules(made, "NetworkPolicy")[1:] for peer in rule["to"]]
    assert [block["cidr"] for block in found] == blocks
    assert not {hole for block in found for hole in block.get("except", ())} & set(blocks)


def cilium(egress: list[Manifest], base: Manifest | None = None) -> Made:
    selector = {"matchLabels": {"wharfinger.dev/installation-id": "x"}}
    policy = {"kind": "CiliumNetworkPolicy", "metadata": {"name": "a"}, "spec": {"endpointSelector": selector, "egress": egress}}
    closed = {"podSelector": selector, "policyTypes": ["Ingress", "Egress"], **(base or {})}
    return (policy, {"kind": "NetworkPolicy", "metadata": {"name": "b"}, "spec": closed})


def aws(name: str, *egress: Manifest) -> Made:
    spec = {"podSelector": {"matchLabels": {"wharfinger.dev/installation-id": "x"}}, "policyTypes": ["Egress"], "egress": list(egress)}
    return ({"kind": "ApplicationNetworkPolicy", "metadata": {"name": name}, "spec": spec}, cilium([{}])[1])


DNS = {"toEntities": ["all"], "toPorts": [{"ports": [{"port": "53", "protocol": "UDP"}], "rules": {"dns": [{"matchPattern": "*"}]}}]}
NAMES = {"toFQDNs": [{"matchName": "a.example"}], "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}
DOMAINS = {"to": [{"domainNames": ["a.example"]}], "ports": [{"port": 443}]}


@pytest.mark.parametrize(
    ("check", "made"),
    [
        ("no_list_is_empty", cilium([])),
        ("cilium_isolates_and_an_empty_rule_stands_alone", cilium([])),
        ("cilium_isolates_and_an_empty_rule_stands_alone", cilium([{}, NAMES])),
        ("cilium_has_one_sort_of_peer_a_rule", cilium([{**NAMES, "toCIDR": ["192.0.2.0/24"]}])),
        ("cilium_looks_into_dns_over_udp_and_tcp_where_it_names_domains", cilium([NAMES])),
        ("cilium_looks_into_dns_over_udp_and_tcp_where_it_names_domains", cilium([NAMES, DNS])),
        ("cilium_ports_are_texts_at_most_forty_and_never_ranges_for_dns", cilium([{"toPorts": [{"ports": [{"port": 53}]}]}])),
        ("cilium_ports_are_texts_at_most_forty_and_never_ranges_for_dns", cilium([{"toPorts": [{"ports": [{"port": "1"}] * 41}]}])),
        ("beside_cilium_the_base_layer_lets_nothing_out", cilium([{}], {"egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]})),
        ("nothing_opens_a_metadata_service_but_port_53", cilium([{"toCIDR": ["169.254.0.0/16"]}])),
        ("blocks_are_canonical_and_leave_out_smaller_parts_of_themselves", cilium([{"toCIDRSet": [{"cidr": "192.0.2.1/24"}]}])),
        ("names_differ_between_kinds_and_are_short", aws("b", DOMAINS)),
        ("aws_rules_name_domains_apart_from_other_peers_and_numbers_of_ports", aws("a", {**DOMAINS, "ports": [{"port": "https"}]})),
        ("aws_rules_name_domains_apart_from_other_peers_and_numbers_of_ports", aws("a", {"to": [], "ports": [{"port": 53}]})),
        ("aws_has_one_list_of_domains_for_each_set_of_ports", aws("a", DOMAINS, DOMAINS)),
    ],
)
def test_each_mistake_would_be_seen(check: str, made: Made) -> None:
    assert not getattr(agent_rules, check)(made)
