"""Isolations as one nft table, replaced whole: a packet that belongs to no known connection must satisfy its sender's rules and its
receiver's. Pods' addresses and ports are those after a Service's address has been translated, as in Cilium."""

import re
from collections.abc import Iterable, Mapping

from local_cluster.layout import DNS_PROXY_PORT, POLICY_TABLE
from local_cluster.netpol.cilium import Asks, NameSet
from local_cluster.netpol.rules import Direction, Isolation

Learned = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Pod address → name → addresses that the pod was told for it."""


def table(isolations: Iterable[Isolation], names: Iterable[NameSet] = (), asks: Iterable[Asks] = (), learned: Learned | None = None) -> str:
    """The nft script that puts these rules in the place of whatever was there."""
    chains: dict[tuple[Direction, str], list[str]] = {}
    for isolation in isolations:
        chains.setdefault((isolation.direction, isolation.pod.address), []).extend(isolation.conditions)
    lines = [f"add table inet {POLICY_TABLE}", f"delete table inet {POLICY_TABLE}", f"table inet {POLICY_TABLE} {{"]
    for named in {n.name: n for n in names}.values():
        known = addresses(named, (learned or {}).get(named.pod, {}))
        lines.append(f"  set {named.name} {{ type ipv4_addr;{_elements(known)} }}")
    for (direction, address), conditions in sorted(chains.items(), key=lambda c: (c[0][0].value, c[0][1])):
        lines.append(f"  chain {_chain(direction, address)} {{")
        lines += [f"    {condition} return" if condition else "    return" for condition in dict.fromkeys(conditions)]
        lines += ["    counter drop", "  }"]
    for direction in Direction:
        members = sorted(f"{address} : jump {_chain(d, address)}" for d, address in chains if d is direction)
        lines.append(f"  map {direction.value} {{ type ipv4_addr : verdict;{_elements(members)} }}")
    lines.append(f"  set asks {{ type ipv4_addr;{_elements(sorted({a.pod for a in asks}))} }}")
    lines.append(HOOKS)
    return "\n".join(lines)


def addresses(named: NameSet, learned: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The learned addresses that belong to a set."""
    return sorted({a for name, found in learned.items() if matches(named.patterns, name) for a in found})


def matches(patterns: Iterable[str], name: str) -> bool:
    """Whether one of the patterns is the whole name."""
    return any(re.fullmatch(p, name) for p in patterns)


def _chain(direction: Direction, address: str) -> str:
    return f"{direction.value}_{address.replace('.', '_')}"


def _elements(members: Iterable[str]) -> str:
    joined = ", ".join(members)
    return f" elements = {{ {joined} }};" if joined else ""


HOOKS = f"""\
  chain forward {{
    type filter hook forward priority -10;
    ct state established,related accept
    ip saddr vmap @Egress
    ip daddr vmap @Ingress
  }}
  chain input {{
    type filter hook input priority -10;
    ct state established,related accept
    ip saddr @asks meta l4proto {{ tcp, udp }} th dport {DNS_PROXY_PORT} accept
    ip saddr vmap @Egress
  }}
  chain dns {{
    type nat hook prerouting priority -110;
    ip saddr @asks meta l4proto {{ tcp, udp }} th dport 53 redirect to :{DNS_PROXY_PORT}
  }}
}}
"""
