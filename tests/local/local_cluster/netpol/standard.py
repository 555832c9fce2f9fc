"""NetworkPolicy, networking.k8s.io/v1, as isolations. Source: its API reference, kubernetes.io/docs/reference."""

from collections.abc import Iterator

from local_cluster.netpol.rules import EVERYONE, Direction, Isolation, Peer, Port, block, conditions
from local_cluster.netpol.world import Json, Pod, selects


def isolations(policy: Json, pods: tuple[Pod, ...]) -> Iterator[Isolation]:
    """What one NetworkPolicy says of each pod that it selects."""
    spec, namespace = policy["spec"], policy["metadata"]["namespace"]
    chosen = [p for p in pods if p.namespace == namespace and selects(spec.get("podSelector") or {}, p.labels)]
    for direction in _directions(spec):
        rules = spec.get(direction.value.lower()) or []
        for pod in chosen:
            allowed: list[str] = []
            for rule in rules:
                peers = _peers(direction, rule.get("to" if direction is Direction.EGRESS else "from") or [], namespace, pods)
                ports = tuple(Port(p.get("protocol", "TCP"), p.get("port"), p.get("endPort")) for p in rule.get("ports") or [])
                allowed += conditions(direction, pod, peers, ports, pods)
            yield Isolation(pod, direction, tuple(dict.fromkeys(allowed)))


def _directions(spec: Json) -> tuple[Direction, ...]:
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
    return tuple(d for d in Direction if d.value in types)


def _peers(direction: Direction, listed: list[Json], namespace: str, pods: tuple[Pod, ...]) -> tuple[Peer, ...]:
    if not listed:
        return (EVERYONE,)
    found: list[Peer] = []
    for peer in listed:
        if "ipBlock" in peer:
            made = block(direction, peer["ipBlock"]["cidr"], peer["ipBlock"].get("except") or ())
            found += [made] if made else []
            continue
        spaces, labels = peer.get("namespaceSelector"), peer.get("podSelector") or {}
        found += [
            p
            for p in pods
            if (p.namespace == namespace if spaces is None else selects(spaces, p.namespace_labels)) and selects(labels, p.labels)
        ]
    return tuple(found)
