"""CiliumNetworkPolicy (cilium.io/v2): everything that goes out; the NetworkPolicy beside it lets nothing out, and all that comes in.

What its agent does and no schema says (cilium/cilium, pkg/policy/api): `egress: []` isolates nothing, `[{}]` shuts; names are learned only
from answers to lookups that a DNS rule covers; a rule has one sort of peer, else the whole policy is void; blocks match neither pods nor
nodes; ports are text, at most 40 in one list. A NetworkPolicy that allowed DNS too would widen the DNS rule to every name, so it allows none.
Where domains are named, every name may be asked for all the same: resolvers of musl give up their search list at the first refusal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.egress_rules import EgressRules
from wharfinger_crds.environment import Port
from wharfinger_operator.plan.providers.depth import depth_limited, enumerated
from wharfinger_operator.plan.providers.fence import DNS_PORTS, Fence, Manifest, by_ports, exactness
from wharfinger_operator.plan.providers.network_policy import base_layer
from wharfinger_operator.world import PodLabels

PORTS: Final = 40


def cilium(fence: Fence) -> tuple[Manifest, ...]:
    """Return the policies: of everything that goes out, and then the base layer, which may have been open until now."""
    rules, identity = fence.rules, fence.identity
    egress = [*_dns(fence), *_services(rules), *_blocks(rules), *_domains(rules)]
    policy = identity.child(
        "cilium.io/v2", "CiliumNetworkPolicy", names.egress_policy_name(identity.namespace, identity.name),
        spec={"endpointSelector": {"matchLabels": identity.selector}, "egress": egress or [{}]},
    )  # fmt: skip
    return (policy, base_layer(fence, []))


def domains_exact(rules: EgressRules) -> c.Finding:
    """Return DomainsExact: Cilium before 1.19 reads `**.` as `*.`, so the depths are listed for all."""
    return exactness(depth_limited(rules))


def _dns(fence: Fence) -> list[Manifest]:
    if not fence.named:
        return []
    dns, looked_at = fence.dns, bool(fence.rules.domains)
    numeric = [(protocol, port) for protocol, port in dns.pod_ports if isinstance(port, int)]
    at_53 = _dns_ports(DNS_PORTS, looked_at=looked_at)
    found: list[Manifest] = []
    if dns.pods:
        ports = _dns_ports([*DNS_PORTS, *numeric], looked_at=looked_at)
        found.append({"toEndpoints": [_endpoint(chosen) for chosen in dns.pods], "toPorts": ports})
    if dns.blocks:
        found.append({"toCIDR": list(dns.blocks), "toPorts": at_53})
    if dns.on_node:
        found.append({"toEntities": ["host"], "toPorts": at_53})
    return found


def _dns_ports(ports: Iterable[tuple[str, int]], *, looked_at: bool) -> list[Manifest]:
    # Only where domains are named: looking into lookups takes the agent's proxy, which may be off, and would then void the policy.
    rules: Manifest = {"rules": {"dns": [{"matchPattern": "*"}]}} if looked_at else {}
    return [{"ports": [{"port": str(port), "protocol": protocol} for protocol, port in ports], **rules}]


def _services(rules: EgressRules) -> list[Manifest]:
    return [
        {"toEndpoints": [_endpoint(PodLabels(s.namespace, tuple(s.pod_selector.items())))], **_to_ports(s.ports)} for s in rules.services
    ]


def _blocks(rules: EgressRules) -> list[Manifest]:
    return [
        {"toCIDRSet": [{"cidr": b.cidr, **({"except": list(b.except_)} if b.except_ else {})} for b in found], **_to_ports(ports)}
        for ports, found in by_ports(rules.blocks)
    ]


def _domains(rules: EgressRules) -> list[Manifest]:
    return [
        {"toFQDNs": [_name(name) for name in enumerated(d.name for d in found)], **_to_ports(ports)}
        for ports, found in by_ports(rules.domains)
    ]


def _name(name: str) -> Manifest:
    return {"matchPattern" if "*" in name else "matchName": name}


def _endpoint(chosen: PodLabels) -> Manifest:
    return {"matchLabels": {"k8s:io.kubernetes.pod.namespace": chosen.namespace, **{f"k8s:{key}": value for key, value in chosen.labels}}}


def _to_ports(ports: tuple[Port, ...]) -> dict[str, Any]:
    texts = [{"port": str(p.port), **({"endPort": p.end_port} if p.end_port else {}), "protocol": p.protocol} for p in ports]
    lists = [{"ports": texts[i : i + PORTS]} for i in range(0, len(texts), PORTS)]
    return {"toPorts": lists} if lists else {}
