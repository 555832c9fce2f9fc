"""What no schema checks and agents and controllers refuse, drop or misread, as checks of everything that a provider makes for one server."""

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

from provider_fence import PROVIDERS, Manifest, Scene
from wharfinger_crds.address_ranges import METADATA, network, within

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
    return bool(base["spec"]["policyTypes"] == ["Ingress", "Egress"])


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
    return all(str(ipaddress.ip_network(text, strict=False)) == text for text in texts) and all(
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
