"""The egress rules of an environment as one normalized value: what providers translate, and what the gateway checks at connect time.

Invariants: everything has one form (domains as in `domain`, blocks canonical, lists sorted, ports explicit), so that equal rules are equal
values and give equal objects; presets are expanded, so that a reader needs no list of its own; the blocks are already without what they must
not open. The value is part of the connection between operator and gateway: fields are only added.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from pydantic import Field

from wharfinger_crds import conditions as c
from wharfinger_crds.address_ranges import FLOOR, METADATA, Network, holes, network, within
from wharfinger_crds.base import Model
from wharfinger_crds.domain import DomainError, normalized
from wharfinger_crds.environment import CidrRule, Egress, Port, ServiceRule
from wharfinger_crds.presets import presets

WORLD: Final = (network("0.0.0.0/0"), network("::/0"))
SERVICE_SUFFIXES: Final = (".svc", ".svc.cluster.local")
"""What names of Services end in. Another cluster domain is left out: `x.data.svc.example.com` could be anybody's."""
HTTPS: Final = Port(port=443)
"""What a domain is reached at where its rule names no port."""


class AddressBlock(Model):
    """Addresses that may be reached."""

    cidr: str
    """Canonical."""
    except_: tuple[str, ...] = Field(default=(), alias="except")
    """Parts of it that may not, canonical; none lies in another one."""
    ports: tuple[Port, ...] = ()
    """Empty: every port."""


class Domain(Model):
    """Hosts that may be reached."""

    name: str
    """In the form of `domain.normalized`."""
    ports: tuple[Port, ...]
    """Never empty."""


class EgressRules(Model):
    """What servers of an environment may reach. What no rule opens is shut."""

    mode: Literal["DenyAll", "AllowAll", "Restricted"]
    blocks: tuple[AddressBlock, ...] = ()
    """Of AllowAll: the internet, as two blocks."""
    domains: tuple[Domain, ...] = ()
    services: tuple[ServiceRule, ...] = ()
    cluster_ranges: tuple[str, ...] = ()
    """Addresses of the cluster itself, which are shut like the private ranges, canonical; no need to repeat what is private anyway."""

    @property
    def opens_nothing(self) -> bool:
        """Whether nothing may be reached; then there is no DNS either, which would be a way out."""
        return not (self.blocks or self.domains or self.services)


def egress_rules(egress: Egress, cluster_ranges: Sequence[str] = ()) -> EgressRules | c.Finding:
    """Return the rules, or why there are none (Accepted=False), naming the value.

    `cluster_ranges` are blocks of node, pod, Service and API server addresses; they come from the cluster, and raise ValueError where they are none.
    """
    shut = tuple(sorted({network(block) for block in cluster_ranges}, key=_order))
    problem = next((found for rule in egress.cidrs if (found := _cidr_problem(rule))), None) or _presets_problem(egress)
    if problem:
        return c.false(c.ACCEPTED, problem.reason, problem.message)
    try:
        domains = _domains(egress)
    except DomainError as error:
        return c.false(c.ACCEPTED, c.INVALID, f"spec.egress.domains: {error}")
    return EgressRules(
        mode=egress.mode,
        blocks=_blocks(egress, shut),
        domains=domains,
        services=_services(egress),
        cluster_ranges=tuple(str(block) for block in shut if not any(within(block, floor) for floor in FLOOR)),
    )


def _cidr_problem(rule: CidrRule) -> c.Finding | None:
    where = f"spec.egress.cidrs[{rule.cidr}]"
    for text in (rule.cidr, *rule.except_):
        try:
            network(text)
        except ValueError:
            return c.false(c.ACCEPTED, c.INVALID, f"{where}: {text} is not a CIDR such as 203.0.113.0/24")
    block = network(rule.cidr)
    for text in rule.except_:
        hole = network(text)
        if not within(hole, block) or hole == block:
            return c.false(c.ACCEPTED, c.INVALID, f"{where}: except {text} is not a smaller block inside of it")
    if any(within(block, metadata) for metadata in METADATA):
        return c.false(c.ACCEPTED, c.FORBIDDEN, f"{where} is a metadata service: servers never reach it")
    return None


def _presets_problem(egress: Egress) -> c.Finding | None:
    known = presets().presets
    if missing := sorted(set(egress.presets) - known.keys()):
        return c.false(
            c.ACCEPTED, c.INVALID, f"spec.egress.presets: there is no preset {', '.join(missing)}; there are: {', '.join(sorted(known))}"
        )
    return None


def _blocks(egress: Egress, shut: tuple[Network, ...]) -> tuple[AddressBlock, ...]:
    if egress.mode == "DenyAll":
        return ()
    if egress.mode == "AllowAll":
        return _internet(shut)
    # A block inside of the floor or of the cluster is meant; a block around parts of them, such as 0.0.0.0/0, is not. Metadata never is.
    found = {
        _block(network(rule.cidr), (*(network(text) for text in rule.except_), *FLOOR, *METADATA, *shut), rule.ports)
        for rule in egress.cidrs
    }
    return tuple(sorted(found, key=lambda b: (_order(network(b.cidr)), b.except_, [_port_order(p) for p in b.ports])))


@functools.lru_cache(maxsize=16)
def _internet(shut: tuple[Network, ...]) -> tuple[AddressBlock, ...]:
    return tuple(_block(world, (*FLOOR, *shut), ()) for world in WORLD)


def _block(block: Network, shut: Iterable[Network], ports: Iterable[Port]) -> AddressBlock:
    return AddressBlock(cidr=str(block), except_=tuple(str(hole) for hole in holes(block, shut)), ports=_ports(ports))


def _domains(egress: Egress) -> tuple[Domain, ...]:
    if egress.mode != "Restricted":
        return ()
    ports: defaultdict[str, set[Port]] = defaultdict(set)
    for rule in egress.domains:
        name = normalized(rule.name)
        if f".{name}".endswith(SERVICE_SUFFIXES):
            raise DomainError(f"{rule.name!r} is the name of a Service: it goes into services")
        ports[name].update(rule.ports or (HTTPS,))
    for preset in (presets().presets[name] for name in egress.presets):
        for name in preset.domains:
            ports[normalized(name)].update(Port(port=port) for port in preset.ports)
    return tuple(Domain(name=name, ports=_ports(ports[name])) for name in sorted(ports))


def _services(egress: Egress) -> tuple[ServiceRule, ...]:
    rules = (
        ServiceRule(namespace=rule.namespace, pod_selector=dict(sorted(rule.pod_selector.items())), ports=_ports(rule.ports))
        for rule in egress.services
    )
    unique = {(r.namespace, tuple(r.pod_selector.items()), tuple(_port_order(p) for p in r.ports)): r for r in rules}
    return tuple(unique[key] for key in sorted(unique))


def _ports(ports: Iterable[Port]) -> tuple[Port, ...]:
    unique = {p if p.end_port != p.port else Port(port=p.port, protocol=p.protocol) for p in ports}
    return tuple(sorted(unique, key=_port_order))


def _port_order(port: Port) -> tuple[int, int, str]:
    return (port.port, port.end_port or port.port, port.protocol)


def _order(block: Network) -> tuple[int, int, int]:
    return (block.version, int(block.network_address), block.prefixlen)
