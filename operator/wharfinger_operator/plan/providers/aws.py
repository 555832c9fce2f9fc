"""AWS ApplicationNetworkPolicy (EKS Auto Mode): domains, beside a NetworkPolicy that carries everything else; the two add up.

What its controller and node agent do and no schema says (aws/amazon-network-policy-controller-k8s, aws/aws-network-policy-agent): a rule with
ports and no peer is dropped, so each names one; a named port is every port; a NetworkPolicy and an ApplicationNetworkPolicy of one name in a
namespace share their endpoints; the `except` of one rule shuts for all rules of a pod, so blocks are split instead where that is short.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.address_ranges import Network, network, within
from wharfinger_crds.domain import ANY_DEPTH, ONE_LABEL
from wharfinger_crds.egress_rules import AddressBlock, EgressRules
from wharfinger_operator.plan.providers.fence import Fence, Manifest, by_ports, exactness, listed
from wharfinger_operator.plan.providers.network_policy import base_layer, block_rules, dns_rules, rule, service_rules

PIECES: Final = 32
"""Into how many blocks one is split at most, to be without its holes."""


def aws(fence: Fence) -> tuple[Manifest, ...]:
    """Return the policies: the base layer, and of domains."""
    numeric = tuple((protocol, port) for protocol, port in fence.dns.pod_ports if isinstance(port, int))
    fence = replace(fence, dns=replace(fence.dns, pod_ports=numeric))
    base = base_layer(fence, [*dns_rules(fence), *service_rules(fence.rules), *block_rules(_apart(fence.rules.blocks))])
    return (base, _domains(fence)) if fence.rules.domains else (base,)


def domains_exact(rules: EgressRules) -> c.Finding:
    """Return DomainsExact: its one wildcard stands for one label or more."""
    wider = [d.name for d in rules.domains if d.name.startswith(ONE_LABEL)]
    message = (
        f"the wildcard of an ApplicationNetworkPolicy stands for one label or more, so these reach deeper than they say: {listed(wider)};"
        " name the hosts, or write `**.` where that is meant"
    )
    return exactness([(c.DOMAIN_WIDENED, message)] if wider else [])


def _domains(fence: Fence) -> Manifest:
    egress = [
        rule([{"domainNames": sorted({domain.name.replace(ANY_DEPTH, ONE_LABEL) for domain in found})}], ports)
        for ports, found in by_ports(fence.rules.domains)
    ]
    identity = fence.identity
    return identity.child(
        "networking.k8s.aws/v1alpha1", "ApplicationNetworkPolicy", names.egress_policy_name(identity.namespace, identity.name),
        spec={"podSelector": {"matchLabels": identity.selector}, "policyTypes": ["Egress"], "egress": egress},
    )  # fmt: skip


def _apart(blocks: tuple[AddressBlock, ...]) -> list[AddressBlock]:
    """Return blocks of which none is what another one leaves out: as two halves it wins over that, being longer."""
    pieces = [piece for block in blocks for piece in _pieces(block)]
    left_out = {hole for piece in pieces for hole in piece.except_}
    return [half for piece in pieces for half in (_halves(piece) if piece.cidr in left_out else [piece])]


def _halves(block: AddressBlock) -> list[AddressBlock]:
    whole = network(block.cidr)
    return [block.model_copy(update={"cidr": str(half)}) for half in whole.subnets()] if whole.prefixlen < whole.max_prefixlen else [block]


@functools.lru_cache(maxsize=1024)
def _pieces(block: AddressBlock) -> tuple[AddressBlock, ...]:
    """Return a block as blocks without holes; as it is where those would be too many. Kept, since all servers of an environment ask for it."""
    whole, shut = network(block.cidr), [network(hole) for hole in block.except_]
    pieces: list[Network] = [whole]
    for hole in shut:
        if hole.prefixlen - whole.prefixlen > PIECES or len(pieces) > PIECES + len(shut):
            return (block,)
        pieces = [piece for each in pieces for piece in _without(each, hole)]
    if len(pieces) > PIECES:
        return (block,)
    return tuple(AddressBlock(cidr=str(piece), ports=block.ports) for piece in sorted(pieces, key=lambda n: int(n.network_address)))


def _without(block: Network, hole: Network) -> list[Network]:
    return list(block.address_exclude(hole)) if within(hole, block) else [block]  # type: ignore[arg-type]  # of one version, as within says
