"""NetworkPolicies as nft text. The official conformance cases are the reference for the meaning; these pin the engine's reading of it."""

from typing import Any

import pytest

from local_cluster.netpol.render import table
from local_cluster.netpol.rules import Direction, Isolation
from local_cluster.netpol.standard import isolations
from local_cluster.netpol.world import Pod, pods, selects

CLIENT = Pod("10.244.0.2", "p", {"app": "client"}, {"team": "blue"})
SERVER = Pod("10.244.0.3", "p", {"app": "server"}, {"team": "blue"}, (("http", "TCP", 8080), ("dns", "UDP", 5353)))
RED = Pod("10.244.0.4", "q", {"app": "client"}, {"team": "red"}, (("http", "TCP", 80),))
ALL = (CLIENT, SERVER, RED)


def policy(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "namespace": "p"}, "spec": spec}


def read(**spec: Any) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(i.pod.address, i.direction.value): i.conditions for i in isolations(policy(**spec), ALL)}


def test_a_policy_without_rules_shuts_the_pods_of_its_namespace_only() -> None:
    assert read(podSelector={}, policyTypes=["Egress"]) == {("10.244.0.2", "Egress"): (), ("10.244.0.3", "Egress"): ()}


def test_ingress_is_meant_where_no_type_is_named_and_egress_where_it_has_rules() -> None:
    server = {"matchLabels": {"app": "server"}}

    assert set(read(podSelector=server)) == {("10.244.0.3", "Ingress")}
    assert set(read(podSelector=server, egress=[])) == {("10.244.0.3", "Ingress"), ("10.244.0.3", "Egress")}


def test_an_empty_rule_opens_everything() -> None:
    assert read(podSelector={"matchLabels": {"app": "server"}}, ingress=[{}]) == {("10.244.0.3", "Ingress"): ("",)}


def test_a_peer_s_pod_selector_alone_means_the_policy_s_namespace() -> None:
    peers = [{"podSelector": {"matchLabels": {"app": "client"}}}]

    assert read(podSelector={"matchLabels": {"app": "server"}}, ingress=[{"from": peers}]) == {
        ("10.244.0.3", "Ingress"): ("ip saddr { 10.244.0.2 }",)
    }


def test_both_selectors_of_one_peer_must_hold() -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"team": "red"}}, "podSelector": {"matchLabels": {"app": "client"}}}]

    assert read(podSelector={"matchLabels": {"app": "server"}}, ingress=[{"from": peers}]) == {
        ("10.244.0.3", "Ingress"): ("ip saddr { 10.244.0.4 }",)
    }


def test_a_block_has_its_exceptions_and_ports_their_ranges() -> None:
    rule = {
        "to": [{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]}}],
        "ports": [{"port": 443}, {"protocol": "UDP", "port": 5000, "endPort": 5010}],
    }

    assert read(podSelector={"matchLabels": {"app": "client"}}, policyTypes=["Egress"], egress=[rule]) == {
        ("10.244.0.2", "Egress"): (
            "ip daddr 203.0.113.0/24 ip daddr != { 203.0.113.128/25 } tcp dport 443",
            "ip daddr 203.0.113.0/24 ip daddr != { 203.0.113.128/25 } udp dport 5000-5010",
        )
    }


def test_an_ipv6_block_opens_nothing() -> None:
    rule = {"to": [{"ipBlock": {"cidr": "2001:db8::/32"}}]}

    assert read(podSelector={"matchLabels": {"app": "client"}}, policyTypes=["Egress"], egress=[rule]) == {("10.244.0.2", "Egress"): ()}


def test_a_named_port_on_the_way_out_is_each_receiver_s_own() -> None:
    assert read(podSelector={"matchLabels": {"app": "client"}}, policyTypes=["Egress"], egress=[{"ports": [{"port": "http"}]}]) == {
        ("10.244.0.2", "Egress"): ("ip daddr { 10.244.0.4 } tcp dport 80", "ip daddr { 10.244.0.3 } tcp dport 8080")
    }


def test_a_named_port_on_the_way_in_is_the_isolated_pod_s() -> None:
    peers = [{"podSelector": {"matchLabels": {"app": "client"}}}]

    assert read(podSelector={"matchLabels": {"app": "server"}}, ingress=[{"from": peers, "ports": [{"port": "http"}]}]) == {
        ("10.244.0.3", "Ingress"): ("ip saddr { 10.244.0.2 } tcp dport 8080",)
    }
    assert read(podSelector={"matchLabels": {"app": "server"}}, ingress=[{"ports": [{"port": "http"}]}]) == {
        ("10.244.0.3", "Ingress"): ("tcp dport 8080",)
    }


def test_the_table_jumps_from_a_pod_s_address_to_its_rules_and_drops_the_rest() -> None:
    text = table(
        [Isolation(SERVER, Direction.INGRESS, ("ip saddr { 10.244.0.2 } tcp dport 8080",)), Isolation(SERVER, Direction.INGRESS, ("",))]
    )

    assert text.startswith("add table inet wharfinger_policy\ndelete table inet wharfinger_policy\ntable inet wharfinger_policy {\n")
    assert "  map Ingress { type ipv4_addr : verdict; elements = { 10.244.0.3 : jump Ingress_10_244_0_3 }; }\n" in text
    assert "  chain Ingress_10_244_0_3 {\n    ip saddr { 10.244.0.2 } tcp dport 8080 return\n    return\n    counter drop\n  }\n" in text
    assert "  map Egress { type ipv4_addr : verdict; }\n" in text


def test_pods_without_an_address_of_their_own_or_finished_are_not_seen() -> None:
    def pod(name: str, **status: Any) -> dict[str, Any]:
        spec = {"containers": [{"ports": [{"name": "http", "containerPort": 80}]}], "hostNetwork": name == "host"}
        return {"metadata": {"name": name, "namespace": "p"}, "spec": spec, "status": {"podIP": "10.244.0.9", **status}}

    objects = [pod("host"), pod("done", phase="Succeeded"), pod("new", podIP=""), pod("seen", phase="Running")]
    namespaces = [{"metadata": {"name": "p", "labels": {"team": "blue"}}}]

    assert pods(objects, namespaces) == (Pod("10.244.0.9", "p", {}, {"team": "blue"}, (("http", "TCP", 80),)),)


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ({"key": "a", "operator": "In", "values": ["1", "2"]}, True),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, False),
        ({"key": "b", "operator": "NotIn", "values": ["1"]}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "b", "operator": "DoesNotExist"}, True),
        ({"key": "a", "operator": "Gt", "values": ["0"]}, False),
    ],
)
def test_match_expressions(expression: dict[str, Any], chosen: bool) -> None:
    assert selects({"matchExpressions": [expression]}, {"a": "1"}) is chosen
