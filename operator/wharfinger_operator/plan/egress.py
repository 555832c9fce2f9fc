"""Egress rules of an environment as rules of a NetworkPolicy: the closed base layer, on every provider.

A NetworkPolicy only allows, so what it cannot express (domains) stays shut. Lists that would be empty are left out: the
API server bumps the generation of a NetworkPolicy with an empty list on every apply.
Ranges: IANA special-purpose registries, and the metadata services of the clouds.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import Any, Final

from wharfinger_crds import conditions as c
from wharfinger_crds.environment import CidrRule, Egress, Port
from wharfinger_operator.world import DnsPeer

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FLOOR: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
        "::/127", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "fc00::/7", "fe80::/10", "ff00::/8",
    )
)  # fmt: skip
"""What AllowAll never opens: metadata services, private, link-local and translated ranges."""
METADATA: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(block)
    for block in (
        "169.254.169.254/32",
        "169.254.170.2/32",
        "169.254.170.23/32",
        "168.63.129.16/32",
        "100.100.100.200/32",
        "fd00:ec2::/64",
        "fd20:ce::254/128",
    )
)
_WORLD: Final = ("0.0.0.0/0", "::/0")


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # same version, checked before


def egress_problem(egress: Egress) -> c.Finding | None:
    """Return why the rules cannot be translated (Accepted=False), or None."""
    unbuilt = [
        *(["spec.egress.provider: " + egress.provider] if egress.provider not in {"Auto", "NetworkPolicy"} else []),
        *(["spec.egress.enforcement: Require"] if egress.enforcement == "Require" else []),
        *(["spec.egress.probe: On"] if egress.probe == "On" else []),
    ]
    if unbuilt:
        return c.false(c.ACCEPTED, c.NOT_IMPLEMENTED, f"not implemented in this version: {'; '.join(unbuilt)}")
    for rule in egress.cidrs:
        block = ipaddress.ip_network(rule.cidr, strict=False)
        for text in rule.except_:
            hole = ipaddress.ip_network(text, strict=False)
            if not _within(hole, block) or hole == block:
                return c.false(c.ACCEPTED, c.INVALID, f"spec.egress.cidrs[{rule.cidr}]: except {text} is not a smaller block inside of it")
        if any(_within(block, metadata) for metadata in METADATA):
            return c.false(c.ACCEPTED, c.FORBIDDEN, f"spec.egress.cidrs[{rule.cidr}] is a metadata service: servers never reach it")
    return None


def egress_rules(egress: Egress, dns: DnsPeer) -> list[dict[str, Any]]:
    """Return the egress rules of the NetworkPolicy; an empty list means that nothing is allowed."""
    services = [_rule([_pods(s.namespace, s.pod_selector)], s.ports) for s in egress.services]
    match egress.mode:
        case "DenyAll":
            outside: list[dict[str, Any]] = []
        case "AllowAll":
            outside = [{"to": list(_world())}]
        case "Restricted":
            outside = [_rule([_cidr(rule)], rule.ports) for rule in egress.cidrs]
    # Names are needed to reach anything that has one; a server that may reach nothing gets no DNS either, which would be a way out.
    named = bool(outside or services or egress.domains or egress.presets)
    return [*([_dns(dns)] if named else []), *services, *outside]


@functools.cache
def _world() -> tuple[dict[str, Any], ...]:
    return tuple(_block(ipaddress.ip_network(world), FLOOR) for world in _WORLD)


def _cidr(rule: CidrRule) -> dict[str, Any]:
    block = ipaddress.ip_network(rule.cidr, strict=False)
    holes = {ipaddress.ip_network(text, strict=False) for text in rule.except_}
    # An explicit block inside of the floor is meant; a block around parts of it, such as 0.0.0.0/0, is not.
    return _block(block, [*holes, *(part for part in FLOOR if part != block and _within(part, block))])


def _block(block: Network, holes: Iterable[Network]) -> dict[str, Any]:
    inside = sorted({hole for hole in holes if hole.version == block.version}, key=lambda n: (int(n.network_address), n.prefixlen))
    outermost = [hole for hole in inside if not any(hole != other and _within(hole, other) for other in inside)]
    return {"ipBlock": {"cidr": str(block), **({"except": [str(hole) for hole in outermost]} if outermost else {})}}


def _pods(namespace: str, labels: dict[str, str]) -> dict[str, Any]:
    selector: dict[str, Any] = {"matchLabels": dict(sorted(labels.items()))} if labels else {}
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}, "podSelector": selector}


def _rule(peers: list[dict[str, Any]], ports: Iterable[Port]) -> dict[str, Any]:
    listed = [{"protocol": p.protocol, "port": p.port, **({"endPort": p.end_port} if p.end_port else {})} for p in ports]
    return {"to": peers, **({"ports": listed} if listed else {})}


def _dns(dns: DnsPeer) -> dict[str, Any]:
    """Return the rule for DNS; engines match before or after the Service's address is translated, so both forms stand there."""
    peers = [_pods("kube-system", {"k8s-app": "kube-dns"})]
    if dns.address:
        host = ipaddress.ip_network(dns.address)
        peers.append({"ipBlock": {"cidr": str(host)}})
    ports: list[dict[str, Any]] = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    ports += [{"protocol": protocol, "port": port} for protocol, port in dns.target_ports if port != 53]
    return {"to": peers, "ports": ports}
