"""Cilium's kinds as the engine reads them."""

import re
from typing import Any

import pytest

from local_cluster.netpol.cilium import Asks, NameSet, Shut, meanings, pattern
from local_cluster.netpol.render import matches, table
from local_cluster.netpol.rules import Direction, Isolation
from local_cluster.netpol.world import Pod

NODE = "192.0.2.2"
CLIENT = Pod("10.244.0.2", "p", {"app": "client"})
DNS = Pod("10.244.0.3", "kube-system", {"k8s-app": "kube-dns"})
OUTSIDE = "ip daddr != { 10.244.0.0/16, 192.0.2.2 }"


def read(**spec: Any) -> list[Any]:
    spec.setdefault("endpointSelector", {"matchLabels": {"app": "client"}})
    return list(meanings({"metadata": {"name": "x", "namespace": "p"}, "spec": spec}, (CLIENT, DNS), NODE))


def egress(*conditions: str) -> Isolation:
    return Isolation(CLIENT, Direction.EGRESS, conditions)


def test_an_empty_list_isolates_nothing_and_an_empty_rule_shuts() -> None:
    assert read(egress=[]) == []
    assert read(egress=[{}]) == [egress()]


def test_cidrs_and_the_world_are_outside_of_the_cluster() -> None:
    assert read(egress=[{"toCIDR": ["0.0.0.0/0"]}]) == [egress(f"ip daddr 0.0.0.0/0 {OUTSIDE}")]
    assert read(egress=[{"toEntities": ["world"]}]) == [egress(OUTSIDE)]


def test_a_rule_of_ports_alone_opens_them_to_all() -> None:
    assert read(egress=[{"toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}]) == [egress("tcp dport 443")]


def test_endpoints_are_of_the_policy_s_namespace_unless_one_is_named() -> None:
    dns = {"k8s:k8s-app": "kube-dns"}

    assert read(egress=[{"toEndpoints": [{"matchLabels": dns}]}]) == [egress()]
    assert read(egress=[{"toEndpoints": [{"matchLabels": {**dns, "k8s:io.kubernetes.pod.namespace": "kube-system"}}]}]) == [
        egress("ip daddr { 10.244.0.3 }")
    ]


def test_names_become_a_set_that_the_dns_rules_fill() -> None:
    dns = {"toEntities": ["all"], "toPorts": [{"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [{"matchPattern": "*"}]}}]}
    names = {"toFQDNs": [{"matchName": "Allowed.Test"}], "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}
    asks, named, isolation = read(egress=[dns, names])

    assert asks == Asks("10.244.0.2", (".*",))
    assert isinstance(named, NameSet)
    assert isolation == egress("meta l4proto { tcp, udp } th dport 53", f"ip daddr @{named.name} tcp dport 80")
    text = table([isolation], [named], [asks], {"10.244.0.2": {"allowed.test": ("198.51.100.10",), "other.test": ("198.51.100.11",)}})
    assert f"  set {named.name} {{ type ipv4_addr; elements = {{ 198.51.100.10 }}; }}\n" in text
    assert "  set asks { type ipv4_addr; elements = { 10.244.0.2 }; }\n" in text


@pytest.mark.parametrize(
    ("spec", "why", "isolated"),
    [
        ({"egress": [{"toFQDNs": [{"matchName": "a.test"}], "toCIDR": ["192.0.2.0/24"]}]}, "two kinds of peers", False),
        ({"egress": [{"toEntities": ["all"]}], "egressDeny": [{"toCIDR": ["192.0.2.0/24"]}]}, "unknown egressDeny", True),
        ({"egress": [{"toServices": [{}]}]}, "unknown toServices", True),
        ({"egress": [{"toPorts": [{"ports": [{"port": "80"}], "rules": {"http": [{}]}}]}]}, "unknown layer 7 rules", True),
    ],
)
def test_what_is_unknown_shuts_and_what_the_agent_refuses_does_nothing(spec: dict[str, Any], why: str, isolated: bool) -> None:
    found = read(**spec)

    assert [why in m.why for m in found if isinstance(m, Shut)] == [True]
    assert (egress() in found) is isolated
    assert not [m for m in found if isinstance(m, Isolation) and m.conditions]


@pytest.mark.parametrize(
    ("selector", "covered", "not_covered"),
    [
        ({"matchName": "x.test."}, ["x.test"], ["a.x.test", "xatest"]),
        ({"matchPattern": "*.x.test"}, ["a.x.test"], ["x.test", "a.b.x.test"]),
        ({"matchPattern": "**.x.test"}, ["a.x.test", "a.b.x.test"], ["x.test", "ax.test"]),
        ({"matchPattern": "*"}, ["x.test", "a.b"], []),
    ],
)
def test_patterns_cover_what_they_cover_in_cilium(selector: dict[str, str], covered: list[str], not_covered: list[str]) -> None:
    assert re.compile(pattern(selector))
    assert [n for n in covered if not matches([pattern(selector)], n)] == []
    assert [n for n in not_covered if matches([pattern(selector)], n)] == []
