"""What stands around the pods of one server, before a provider words it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from wharfinger_crds import conditions as c
from wharfinger_crds.egress_rules import AddressBlock, Domain, EgressRules
from wharfinger_crds.environment import Port
from wharfinger_operator.plan.identity import Identity
from wharfinger_operator.world import DnsPeer

Manifest = dict[str, Any]
OfPorts = TypeVar("OfPorts", AddressBlock, Domain)
DNS_PORTS: Final = (("UDP", 53), ("TCP", 53))
_SHOWN: Final = 10


@dataclass(frozen=True)
class Fence:
    """Whose pods, what they may reach, what answers their names, and who may call them."""

    identity: Identity
    rules: EgressRules
    dns: DnsPeer
    system_namespace: str
    """Where the callers are: gateway and operator."""

    @property
    def named(self) -> bool:
        """Whether there is DNS: names are needed to reach anything that has one; else they would be a way out."""
        return not self.rules.opens_nothing and bool(self.dns.pods or self.dns.blocks)


def by_ports(found: Iterable[OfPorts]) -> tuple[tuple[tuple[Port, ...], tuple[OfPorts, ...]], ...]:
    """Return blocks or domains under the ports that they share, in the order of the first one."""
    sharing: defaultdict[tuple[Port, ...], list[OfPorts]] = defaultdict(list)
    for each in found:
        sharing[each.ports].append(each)
    return tuple((ports, tuple(each)) for ports, each in sharing.items())


def exactness(problems: Sequence[tuple[str, str]]) -> c.Finding:
    """Return DomainsExact for what a provider cannot say exactly, as reasons and what to do; none is True."""
    if not problems:
        return c.true(c.DOMAINS_EXACT)
    return c.false(c.DOMAINS_EXACT, problems[0][0], "; ".join(message for _, message in problems))


def listed(names: Sequence[str]) -> str:
    """Return the first names of a list, and how many more there are."""
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
