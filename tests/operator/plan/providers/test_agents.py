"""What no schema checks and agents and controllers refuse, drop or misread: looked for in everything that providers make of every case."""

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden import cases
from provider_fence import PROVIDERS, Manifest, Scene, scene, scene_of
from wharfinger_crds.address_ranges import METADATA, network, within

CASES = cases(__file__)
Made = tuple[Manifest, ...]


def of_kind(made: Made, kind: str) -> list[Manifest]:
    return [o for o in made if o["kind"] == kind]


def values(node: Any, key: str) -> Iterator[Any]:
    """Yield what stands under a key, at any depth."""
    if isinstance(node, dict):
        for name, below in node.items():
            if name == key:
                yield below
            yield from values(below, key)
    elif isinstance(node, list):
        for each in node:
            yield from values(each, key)


def rules(made: Made, kind: str) -> list[Manifest]:
    return [rule for o in of_kind(made, kind) for rule in o["spec"].get("egress", [])]


def the_base_layer_is_there_once_and_says_both_directions(made: Made) -> bool:
    (base,) = of_kind(made, "NetworkPolicy")
    return bool(base["spec"]["policyTypes"] == ["Ingress", "Egress"] and base == made[-1])


def no_list_is_empty(made: Made) -> bool:
    def is_full(node: Any) -> bool:
        if isinstance(node, dict):
            return all(is_full(below) for below in node.values())
        return bool(node) and all(is_full(each) for each in node) if isinstance(node, list) else True

    return all(is_full(o) for o in made)


def all_select_the_server_s_pods_by_our_label_and_nothing_else(made: Made) -> bool:
    selectors = [o["spec"].get("podSelector") or o["spec"].get("endpointSelector") for o in made]
    return [list(s["matchLabels"]) for s in selectors] == [["wharfinger.dev/installation-id"]] * len(made)


def names_differ_between_kinds_and_are_short(made: Made) -> bool:
    names = [o["metadata"]["name"] for o in made]
    return len(set(names)) == len(names) and all(len(name) <= 63 for name in names)


def blocks_are_canonical_and_leave_out_smaller_parts_of_themselves(made: Made) -> bool:
    peers = [*values(list(made), "ipBlock"), *(each for cidrs in values(list(made), "toCIDRSet") for each in cidrs)]
    texts = [text for peer in peers for text in (peer["cidr"], *peer.get("except", ()))]
    return all(str(ipaddress.ip_network(text)) == text for text in texts) and all(
        within(network(hole), network(peer["cidr"])) and hole != peer["cidr"] for peer in peers for hole in peer.get("except", ())
    )


def nothing_opens_a_metadata_service_but_port_53(made: Made) -> bool:
    for rule in (rule for o in made for rule in o["spec"].get("egress", [])):
        ports = {str(port["port"]) for port in values(rule, "port") if isinstance(port, dict)} | {str(p) for p in values(rule, "port")}
        peers = [*values(rule, "ipBlock"), *(c for cidrs in values(rule, "toCIDRSet") for c in cidrs)]
        peers += [{"cidr": c} for cidrs in values(rule, "toCIDR") for c in cidrs]
        for peer in peers:
            holes = [network(hole) for hole in peer.get("except", ())]
            met = [m for m in METADATA if within(m, network(peer["cidr"])) and not any(within(m, hole) for hole in holes)]
            if met and ports != {"53"}:
                return False
    return True


def network_policy_rules_have_peers_and_numbers_of_ports_or_names_of_pods_ports(made: Made) -> bool:
    return all(
        rule.get("to")
        and all(isinstance(p["port"], int) or not any("ipBlock" in peer for peer in rule["to"]) for p in rule.get("ports", ()))
        for rule in rules(made, "NetworkPolicy")
    )


def cilium_has_one_sort_of_peer_a_rule(made: Made) -> bool:
    return all(
        len([key for key in rule if key.startswith("to") and key != "toPorts"]) == 1 for rule in rules(made, "CiliumNetworkPolicy") if rule
    )


def cilium_isolates_and_an_empty_rule_stands_alone(made: Made) -> bool:
    return all(
        o["spec"]["egress"] and ({} not in o["spec"]["egress"] or o["spec"]["egress"] == [{}]) for o in of_kind(made, "CiliumNetworkPolicy")
    )


def cilium_ports_are_texts_at_most_forty_and_never_ranges_for_dns(made: Made) -> bool:
    lists = [listed for rule in rules(made, "CiliumNetworkPolicy") for listed in rule.get("toPorts", ())]
    return all(
        len(listed["ports"]) <= 40
        and all(isinstance(p["port"], str) and p["port"].isdigit() for p in listed["ports"])
        and not ("rules" in listed and any("endPort" in p for p in listed["ports"]))
        for listed in lists
    )


def cilium_looks_into_dns_over_udp_and_tcp_where_it_names_domains(made: Made) -> bool:
    for o in of_kind(made, "CiliumNetworkPolicy"):
        looked = [listed for rule in o["spec"]["egress"] for listed in rule.get("toPorts", ()) if "rules" in listed]
        at_53 = {p["protocol"] for listed in looked for p in listed["ports"] if p["port"] == "53"}
        if any("toFQDNs" in rule for rule in o["spec"]["egress"]) != (at_53 == {"UDP", "TCP"}):
            return False
    return True


def beside_cilium_the_base_layer_lets_nothing_out(made: Made) -> bool:
    return not of_kind(made, "CiliumNetworkPolicy") or not rules(made, "NetworkPolicy")


def cilium_names_the_namespace_of_every_endpoint(made: Made) -> bool:
    endpoints = [e for rule in rules(made, "CiliumNetworkPolicy") for e in rule.get("toEndpoints", ())]
    return all(
        "k8s:io.kubernetes.pod.namespace" in e["matchLabels"] and all(k.startswith("k8s:") for k in e["matchLabels"]) for e in endpoints
    )


def aws_rules_name_domains_apart_from_other_peers_and_numbers_of_ports(made: Made) -> bool:
    found = rules(made, "ApplicationNetworkPolicy")
    return all(
        rule["to"] and all(list(peer) == ["domainNames"] for peer in rule["to"]) and all(isinstance(p["port"], int) for p in rule["ports"])
        for rule in found
    ) and all(o["spec"]["policyTypes"] == ["Egress"] for o in of_kind(made, "ApplicationNetworkPolicy"))


def aws_has_one_list_of_domains_for_each_set_of_ports(made: Made) -> bool:
    ports = [str(rule["ports"]) for rule in rules(made, "ApplicationNetworkPolicy")]
    return len(ports) == len(set(ports)) and all(len(rule["to"]) == 1 for rule in rules(made, "ApplicationNetworkPolicy"))


def gke_names_and_patterns_are_apart_and_ports_are_single(made: Made) -> bool:
    return all(
        all(list(m) == ["pattern" if "*" in next(iter(m.values())) else "name"] for m in rule["matches"])
        and all(set(p) == {"protocol", "port"} and p["protocol"] in {"TCP", "UDP"} for p in rule["ports"])
        for rule in rules(made, "FQDNNetworkPolicy")
    )


def no_wildcard_means_more_than_one_label_but_where_it_says_so(made: Made) -> bool:
    names = [text for o in made for key in ("matchPattern", "pattern") for text in values(o, key)]
    return not any("**" in name for name in names)


CHECKS: list[Callable[[Made], bool]] = [
    the_base_layer_is_there_once_and_says_both_directions,
    no_list_is_empty,
    all_select_the_server_s_pods_by_our_label_and_nothing_else,
    names_differ_between_kinds_and_are_short,
    blocks_are_canonical_and_leave_out_smaller_parts_of_themselves,
    nothing_opens_a_metadata_service_but_port_53,
    network_policy_rules_have_peers_and_numbers_of_ports_or_names_of_pods_ports,
    cilium_has_one_sort_of_peer_a_rule,
    cilium_isolates_and_an_empty_rule_stands_alone,
    cilium_ports_are_texts_at_most_forty_and_never_ranges_for_dns,
    cilium_looks_into_dns_over_udp_and_tcp_where_it_names_domains,
    beside_cilium_the_base_layer_lets_nothing_out,
    cilium_names_the_namespace_of_every_endpoint,
    aws_rules_name_domains_apart_from_other_peers_and_numbers_of_ports,
    aws_has_one_list_of_domains_for_each_set_of_ports,
    gke_names_and_patterns_are_apart_and_ports_are_single,
    no_wildcard_means_more_than_one_label_but_where_it_says_so,
]


def broken(made: Scene) -> list[str]:
    found = {provider: made.policies(provider) for provider in PROVIDERS}
    return [f"{check.__name__} ({provider})" for provider, policies in found.items() for check in CHECKS if not check(policies)]


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
@settings(deadline=None)
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
