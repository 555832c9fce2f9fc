"""Of CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy, cilium.io/v2, the parts that this engine knows, as isolations.

What it does not know shuts the pods that the policy selects; what Cilium's agent refuses (two kinds of peers in one rule) does nothing, as
there: the agent marks such a policy invalid and does not enforce it. `egress: []` isolates nothing either, and `egress: [{}]` shuts: both as
in Cilium. CIDRs, the entity `world` and names never match pods or the node.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local_cluster.layout import POD_CIDR
from local_cluster.netpol.rules import EVERYONE, Block, Direction, Isolation, Peer, Port, block, conditions
from local_cluster.netpol.world import Json, Pod, selects

SECTIONS = frozenset({"endpointSelector", "egress", "ingress", "description", "labels"})
NAMESPACE = "io.kubernetes.pod.namespace"
NAMESPACE_LABELS = "io.cilium.k8s.namespace.labels."


@dataclass(frozen=True)
class NameSet:
    """The addresses that a pod has learned for names, as a named set of nft's."""

    name: str
    pod: str
    patterns: tuple[str, ...]
    """Regular expressions for whole, lower-case names."""


@dataclass(frozen=True)
class Asks:
    """The names that a pod may ask for; a pod without any such value may ask for all, unwatched."""

    pod: str
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Shut:
    """A part of a policy that is not enforced as written, and why; for the log."""

    policy: str
    why: str


Meaning = Isolation | NameSet | Asks | Shut


def meanings(policy: Json, pods: tuple[Pod, ...], node_address: str) -> Iterator[Meaning]:
    """What one policy says, of each pod that it selects."""
    name, namespace = policy["metadata"]["name"], policy["metadata"].get("namespace")
    for spec in policy.get("specs") or [policy.get("spec") or {}]:
        chosen = [p for p in pods if namespace in (None, p.namespace) and selects(plain(spec.get("endpointSelector") or {}), labels_of(p))]
        rules = [*(spec.get("egress") or []), *(spec.get("ingress") or [])]
        if any(len(_kinds(rule)) > 1 for rule in rules):
            yield Shut(name, "not enforced: a rule has two kinds of peers, which Cilium's agent refuses")
            continue
        if strange := sorted(set(spec) - SECTIONS):
            yield Shut(name, f"shut: unknown {', '.join(strange)}")
            yield from (Isolation(pod, direction, ()) for pod in chosen for direction in Direction)
            continue
        for direction in Direction:
            listed = spec.get(direction.value.lower())
            for pod in chosen if listed else ():
                yield from _of_pod(_Scope(name, namespace, direction, pods, node_address), listed, pod)


@dataclass(frozen=True)
class _Scope:
    """What a rule is read in: its policy, its direction and the cluster."""

    policy: str
    namespace: str | None
    direction: Direction
    pods: tuple[Pod, ...]
    node_address: str

    @property
    def way(self) -> str:
        return "to" if self.direction is Direction.EGRESS else "from"


def _of_pod(scope: _Scope, listed: list[Json], pod: Pod) -> Iterator[Meaning]:
    known = {f"{scope.way}{k}" for k in ("Endpoints", "CIDR", "CIDRSet", "Entities", "FQDNs")} | {"toPorts"}
    allowed: list[str] = []
    for rule in filter(None, listed):
        if strange := sorted(set(rule) - known):
            yield Shut(scope.policy, f"a rule left out: unknown {', '.join(strange)}")
            continue
        groups = [g for g in rule.get("toPorts") or [] if not set(g) - {"ports", "rules"} and not set(g.get("rules") or {}) - {"dns"}]
        if len(groups) != len(rule.get("toPorts") or []):
            yield Shut(scope.policy, "ports left out: unknown layer 7 rules")
        for group in groups:
            if asked := (group.get("rules") or {}).get("dns"):
                yield Asks(pod.address, tuple(pattern(s) for s in asked))
        ports = tuple(_port(p) for g in groups for p in g.get("ports") or [])
        if rule.get("toPorts") and not ports:
            continue
        peers = _peers(scope, rule)
        if rule.get("toFQDNs"):
            patterns = tuple(sorted(pattern(s) for s in rule["toFQDNs"]))
            named = NameSet(f"fq_{pod.address.replace('.', '_')}_{_digest(patterns)}", pod.address, patterns)
            yield named
            peers = (Block(f"ip daddr @{named.name}"),)
        allowed += conditions(scope.direction, pod, peers, ports, scope.pods)
    yield Isolation(pod, scope.direction, tuple(dict.fromkeys(allowed)))


def _kinds(rule: Json) -> frozenset[str]:
    cidr = {"CIDR": "CIDRSet"}  # these two may stand together
    return frozenset(cidr.get(k := re.sub("^(to|from)", "", key), k) for key in rule if key not in ("toPorts", "icmps", "authentication"))


def _peers(scope: _Scope, rule: Json) -> tuple[Peer, ...]:
    way, side = scope.way, f"ip {scope.direction.peer}"
    outside = f"{side} != {{ {POD_CIDR}, {scope.node_address} }}"
    if not _kinds(rule):
        return (EVERYONE,)
    found: list[Peer] = []
    for selector in map(plain, rule.get(f"{way}Endpoints") or []):
        keys = [*selector["matchLabels"], *(e["key"] for e in selector["matchExpressions"])]
        anywhere = scope.namespace is None or any(k == NAMESPACE or k.startswith(NAMESPACE_LABELS) for k in keys)
        found += [p for p in scope.pods if (anywhere or p.namespace == scope.namespace) and selects(selector, labels_of(p))]
    ranges = [(cidr, ()) for cidr in rule.get(f"{way}CIDR") or []]
    ranges += [(r["cidr"], r.get("except") or ()) for r in rule.get(f"{way}CIDRSet") or [] if "cidr" in r]
    found += [Block(f"{made.condition} {outside}") for cidr, excepts in ranges if (made := block(scope.direction, cidr, excepts))]
    entities = {
        "all": EVERYONE,
        "world": Block(outside),
        "host": Block(f"{side} {scope.node_address}"),
        "kube-apiserver": Block(f"{side} {scope.node_address}"),
        "cluster": Block(f"{side} {{ {POD_CIDR}, {scope.node_address} }}"),
    }
    found += [entities[e] for e in rule.get(f"{way}Entities") or [] if e in entities]
    return tuple(found)


def _port(port: Json) -> Port:
    text = str(port.get("port", "0"))
    number = (int(text) or None) if text.isdigit() else text
    return Port(port.get("protocol", "ANY"), number, port.get("endPort"))


def labels_of(pod: Pod) -> dict[str, str]:
    """A pod's labels as Cilium's selectors see them, its namespace and that one's labels among them."""
    return {**pod.labels, NAMESPACE: pod.namespace, **{NAMESPACE_LABELS + k: v for k, v in pod.namespace_labels.items()}}


def plain(selector: Json) -> dict[str, Any]:
    """A selector without the label sources `k8s:` and `any:`."""

    def cut(key: str) -> str:
        return re.sub(r"^(k8s|any)[:.]", "", key)

    return {
        "matchLabels": {cut(k): v for k, v in (selector.get("matchLabels") or {}).items()},
        "matchExpressions": [{**e, "key": cut(e["key"])} for e in selector.get("matchExpressions") or []],
    }


def pattern(selector: Json) -> str:
    """A matchName or matchPattern as a regular expression: `*` stands within one label, a leading `**.` for any number of labels (1.19)."""
    text = str(selector.get("matchName") or selector["matchPattern"]).lower().rstrip(".")
    if text == "*":
        return ".*"
    prefix = ""
    if text.startswith("**."):
        prefix, text = r"([-a-z0-9_]+\.)+", text[3:]
    return prefix + re.escape(text).replace(r"\*", "[-a-z0-9_]*")


def _digest(patterns: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(patterns).encode()).hexdigest()[:8]
