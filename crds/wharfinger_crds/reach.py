"""Whether egress rules let a connection be made: the decision of a guard that knows the name and what it resolved to; pure.

A NetworkPolicy sees addresses only, and never the connections of the gateway. Whoever connects on behalf of an environment resolves a name,
asks here, and connects to the addresses that come back and to no other one: a name that resolves anew to something else (DNS rebinding) is then
judged anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from wharfinger_crds.address_ranges import FLOOR, LOCAL, METADATA, Address, Network, carried, in_any, network
from wharfinger_crds.domain import covers, host_name
from wharfinger_crds.egress_rules import SERVICE_SUFFIXES, EgressRules
from wharfinger_crds.environment import Port, ServiceRule

_NEVER: Final = (*METADATA, *LOCAL)


@dataclass(frozen=True)
class Refused:
    """Why nothing may be connected to; the message names host, port and rule."""

    reason: Literal["NoRule", "AddressShut"]
    """NoRule: no rule names the host or one of its addresses. AddressShut: one does, but what it resolves to is shut."""
    message: str
    """Names the block that is shut and never an address: who may use a server need not learn how names resolve here, and answers rotate."""


def may_reach(rules: EgressRules, host: str, addresses: Sequence[Address], port: int) -> tuple[Address, ...] | Refused:
    """Return the addresses of a host that may be connected to over TCP, in their order; or why there is none.

    `host` is a name or an address as it stands in a URL, without brackets; `addresses` is what it resolved to. Each address is judged by where
    its packets end (IPv4-mapped, NAT64, 6to4 and Teredo addresses by the IPv4 address in them): metadata services, loopback and link-local
    addresses are shut to everybody; what is private or of the cluster takes a block that contains it, or a rule for services; a domain opens
    the rest.

    The name of a Service (`NAME.NAMESPACE.svc`, with or without `.cluster.local`) is opened by a rule for services of that namespace, as far as
    its ports go, and never by a domain. A rule that selects pods opens none: a Service's name does not say which pods are behind it.
    """
    name = host_name(host)
    namespace = namespace_of(name) if name else None
    by_service = [r for r in rules.services if r.namespace == namespace and _has(r.ports, port)]
    named = (
        any(not r.pod_selector for r in by_service)
        if namespace
        else any(covers(d.name, name) and _has(d.ports, port) for d in rules.domains if name)
    )
    open_ = tuple(a for a in addresses if _may_reach_address(rules, a, port, named=named, in_cluster=namespace is not None))
    return open_ or _refused(rules, f"{host}:{port}", addresses, by_service, named=named)


def namespace_of(name: str) -> str | None:
    """Return the namespace of the Service that a host's name means; None where it means none."""
    for suffix in SERVICE_SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix).rpartition(".")[2] if "." in name.removesuffix(suffix) else None
    return None


def _may_reach_address(rules: EgressRules, address: Address, port: int, *, named: bool, in_cluster: bool) -> bool:
    end = carried(address)
    if in_any(end, _NEVER) or in_any(address, _NEVER):
        return False
    if _in_blocks(rules, end, port):
        return True
    if in_cluster:
        return named
    return not _shut(rules, end) and (named or _in_blocks(rules, address, port))


def _in_blocks(rules: EgressRules, address: Address, port: int) -> bool:
    return any(
        in_any(address, (network(block.cidr),)) and not in_any(address, map(network, block.except_)) and _has(block.ports, port)
        for block in rules.blocks
    )


def _shut(rules: EgressRules, end: Address) -> Network | None:
    return in_any(end, METADATA) or in_any(end, FLOOR) or in_any(end, map(network, rules.cluster_ranges))


def _has(ports: Iterable[Port], port: int) -> bool:
    listed = tuple(ports)
    return not listed or any(p.protocol == "TCP" and p.port <= port <= (p.end_port or p.port) for p in listed)


def _refused(rules: EgressRules, where: str, addresses: Sequence[Address], by_service: Sequence[ServiceRule], *, named: bool) -> Refused:
    ends = [carried(a) for a in sorted(addresses, key=lambda a: (a.version, int(a)))]
    if block := next((found for end in ends if (found := in_any(end, METADATA))), None):
        return Refused("AddressShut", f"{where} leads into {block}: a metadata service, which no rule opens")
    if block := next((found for end in ends if (found := in_any(end, LOCAL))), None):
        return Refused("AddressShut", f"{where} leads into {block}: a loopback, link-local or multicast address, which no rule opens")
    if block := next((found for end in ends if (found := _shut(rules, end))), None) if named else None:
        return Refused("AddressShut", f"{where} leads into {block}, which only a block in cidrs opens")
    if by_service and not named:
        rule = f"the rule for services of namespace {by_service[0].namespace}"
        return Refused("NoRule", f"{rule} selects pods, and the name of a Service ({where}) does not say which pods are behind it")
    return Refused("NoRule", f"no rule of mode {rules.mode} opens {where}{'' if addresses else ', which resolves to nothing'}")
