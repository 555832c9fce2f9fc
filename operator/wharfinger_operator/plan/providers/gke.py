"""GKE FQDNNetworkPolicy (Dataplane V2): domains, beside a NetworkPolicy that carries everything else; the two add up.

It knows neither ranges of ports nor SCTP, cannot be empty, and `*` in a pattern stands within one label. At most 50 addresses a policy count
(Google's documentation), so many domains may not all be reachable.
"""

from __future__ import annotations

from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.egress_rules import EgressRules
from wharfinger_crds.environment import Port
from wharfinger_operator.plan.providers.depth import depth_limited, enumerated
from wharfinger_operator.plan.providers.fence import Fence, Manifest, by_ports, exactness, listed
from wharfinger_operator.plan.providers.network_policy import network_policy

ADDRESSES: Final = 50


def gke(fence: Fence) -> tuple[Manifest, ...]:
    """Return the policies: the base layer, and of domains."""
    egress = [
        {"matches": [_match(name) for name in enumerated(d.name for d in found)], "ports": spoken}
        for ports, found in by_ports(fence.rules.domains)
        if (spoken := [{"protocol": p.protocol, "port": p.port} for p in ports if _is_spoken(p)])
    ]
    identity = fence.identity
    policy = identity.child(
        "networking.gke.io/v1alpha1", "FQDNNetworkPolicy", names.egress_policy_name(identity.namespace, identity.name),
        spec={"podSelector": {"matchLabels": identity.selector}, "egress": egress},
    )  # fmt: skip
    return (*network_policy(fence), policy) if egress else network_policy(fence)


def domains_exact(rules: EgressRules) -> c.Finding:
    """Return DomainsExact: what is narrower than asked, and what may not hold."""
    problems = depth_limited(rules)
    shut = [d.name for d in rules.domains if not all(_is_spoken(p) for p in d.ports)]
    if shut:
        message = f"an FQDNNetworkPolicy knows neither ranges of ports nor SCTP, such ports stay shut for: {listed(shut)}; list the ports"
        problems.append((c.PORTS_UNSUPPORTED, message))
    if len(rules.domains) > ADDRESSES:
        message = f"{len(rules.domains)} domains are named, and an FQDNNetworkPolicy holds {ADDRESSES} addresses: some will stay shut"
        problems.append((c.TOO_MANY_ADDRESSES, message))
    return exactness(problems)


def _match(name: str) -> Manifest:
    return {"pattern" if "*" in name else "name": name}


def _is_spoken(port: Port) -> bool:
    return port.end_port is None and port.protocol in {"TCP", "UDP"}
