"""Kubernetes NetworkPolicy: the closed base layer, on every provider.

A NetworkPolicy only allows, so what it cannot express (domains) stays shut. Lists that would be empty are left out: the API server bumps the
generation of a NetworkPolicy with an empty list on every apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.egress_rules import AddressBlock, EgressRules
from wharfinger_crds.environment import Port
from wharfinger_operator.plan.providers.fence import DNS_PORTS, Fence, Manifest, by_ports
from wharfinger_operator.world import DnsPeer, PodLabels


def network_policy(fence: Fence) -> tuple[Manifest, ...]:
    """Return the policy: in from the gateway and the operator only, out as the rules say but for domains."""
    return (base_layer(fence, [*dns_rules(fence), *service_rules(fence.rules), *block_rules(fence.rules.blocks)]),)


def domains_exact(rules: EgressRules) -> c.Finding:
    """Return DomainsExact."""
    return c.unknown(c.DOMAINS_EXACT, c.NO_FQDN_PROVIDER, "a NetworkPolicy names no domains: they stay shut")


def base_layer(fence: Fence, egress: list[Manifest]) -> Manifest:
    """Return the policy with these egress rules; none shuts."""
    callers = [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": fence.system_namespace}},
            "podSelector": {
                "matchExpressions": [{"key": names.COMPONENT, "operator": "In", "values": ["gateway", "operator"]}],
                "matchLabels": {names.APP_NAME: names.MANAGER},
            },
        }
    ]
    return fence.identity.child(
        "networking.k8s.io/v1", "NetworkPolicy", fence.identity.server,
        spec={
            "podSelector": {"matchLabels": fence.identity.selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": callers, "ports": [{"protocol": "TCP", "port": "mcp"}]}],
            **({"egress": egress} if egress else {}),
        },
    )  # fmt: skip


def dns_rules(fence: Fence) -> list[Manifest]:
    """Return the rules for DNS, if there is any; never one without a peer, which would be open to everyone."""
    if not fence.named:
        return []
    dns: DnsPeer = fence.dns
    pods = [_pods(chosen) for chosen in dns.pods]
    first = {"to": [*pods, *(_block_peer(AddressBlock(cidr=block)) for block in dns.blocks)], "ports": _dns_ports(DNS_PORTS)}
    return [first, {"to": pods, "ports": _dns_ports(dns.pod_ports)}] if pods and dns.pod_ports else [first]


def service_rules(rules: EgressRules) -> list[Manifest]:
    """Return the rules for services of the cluster."""
    return [rule([_pods(PodLabels(s.namespace, tuple(s.pod_selector.items())))], s.ports) for s in rules.services]


def block_rules(blocks: Iterable[AddressBlock]) -> list[Manifest]:
    """Return the rules for blocks of addresses."""
    return [rule([_block_peer(block) for block in found], ports) for ports, found in by_ports(blocks)]


def rule(peers: list[Manifest], ports: Iterable[Port]) -> Manifest:
    """Return a rule; no ports are all."""
    found = [{"protocol": p.protocol, "port": p.port, **({"endPort": p.end_port} if p.end_port else {})} for p in ports]
    return {"to": peers, **({"ports": found} if found else {})}


def _block_peer(block: AddressBlock) -> Manifest:
    return {"ipBlock": {"cidr": block.cidr, **({"except": list(block.except_)} if block.except_ else {})}}


def _pods(chosen: PodLabels) -> Manifest:
    labels: Mapping[str, Any] = {"matchLabels": dict(chosen.labels)} if chosen.labels else {}
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": chosen.namespace}}, "podSelector": labels}


def _dns_ports(ports: Iterable[tuple[str, int | str]]) -> list[Manifest]:
    return [{"protocol": protocol, "port": port} for protocol, port in ports]
