"""What of a cluster tells who enforces egress rules, reduced to what counts; frozen, and small however many nodes there are.

Invariant: nothing in here changes with load, so that the decision about it does not either: no counts, no names of nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

AUTO_MODE: Final = ("eks.amazonaws.com/compute-type", "auto")
FARGATE: Final = ("eks.amazonaws.com/compute-type", "fargate")
EKS_GROUP: Final = "eks.amazonaws.com/nodegroup"
AKS_CILIUM: Final = ("kubernetes.azure.com/ebpf-dataplane", "cilium")
AKS_CLUSTER: Final = "kubernetes.azure.com/cluster"
AKS_MANAGED: Final = ("kubernetes.azure.com/managedby", "aks")
GKE_POOL: Final = "cloud.google.com/gke-nodepool"
VIRTUAL: Final = ("type", "virtual-kubelet")
NODE_LABELS: Final[Mapping[str, bool]] = MappingProxyType({
    **dict.fromkeys((AUTO_MODE[0], AKS_CILIUM[0], AKS_MANAGED[0], VIRTUAL[0]), True), **dict.fromkeys((EKS_GROUP, AKS_CLUSTER, GKE_POOL), False),
})  # fmt: skip
"""The labels of nodes that count, and whether their values do."""

VPC_CNI_CONFIG: Final = "amazon-vpc-cni"
CILIUM_CONFIG: Final = "cilium-config"
CONFIG_KEYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    VPC_CNI_CONFIG: ("enable-network-policy-controller",),
    CILIUM_CONFIG: ("enable-k8s-networkpolicy", "enable-l7-proxy", "enable-policy", "policy-audit-mode"),
})  # fmt: skip
"""The ConfigMaps of kube-system that count, and their keys."""

ACNS_AGENT: Final = "acns-security-agent"
ANETD: Final = "anetd"
VPC_CNI: Final = "aws-node"
CILIUM: Final = "cilium"
ENGINES: Final[Mapping[str, str]] = MappingProxyType({
    "antrea-agent": "Antrea", "azure-npm": "Azure NPM", "calico-node": "Calico", "kindnet": "kindnet", "kube-router": "kube-router",
})  # fmt: skip
"""DaemonSets of engines that enforce NetworkPolicies and no kind of ours beside them, and whose they are."""
DAEMON_SETS: Final = frozenset({ACNS_AGENT, ANETD, VPC_CNI, CILIUM, *ENGINES})
"""The DaemonSets of kube-system that count."""
NODE_AGENT: Final = "--enable-network-policy=true"
FQDN_CONTAINER: Final = "fqdn-policy"
MARKS: Final[Mapping[str, frozenset[str]]] = MappingProxyType({
    VPC_CNI: frozenset({NODE_AGENT}), ACNS_AGENT: frozenset({FQDN_CONTAINER}),
})  # fmt: skip
"""The arguments and the names of containers that count, by DaemonSet."""

NODES_READ: Final = "nodes"
DAEMON_SETS_READ: Final = "daemonsets of namespace kube-system"


def config_read(name: str) -> str:
    """Return how the reading of a ConfigMap is called."""
    return f"ConfigMap kube-system/{name}"


@dataclass(frozen=True)
class NodeSort:
    """What nodes have in common, as far as it counts; any number of them."""

    cloud: str = ""
    """What stands before `:` in spec.providerID: aws, azure, gce, kind…"""
    labels: frozenset[tuple[str, str]] = frozenset()
    """Those of NODE_LABELS; the value is empty where it does not count."""
    schedulable: bool = True

    def has(self, key: str) -> bool:
        """Tell whether nodes of this sort have a label."""
        return any(key == found for found, _ in self.labels)


@dataclass(frozen=True)
class DaemonSetFact:
    """A DaemonSet of kube-system."""

    ready: bool
    """It has a ready pod, or had one a moment ago."""
    marks: frozenset[str] = frozenset()
    """Which of MARKS it has."""


@dataclass(frozen=True)
class PolicyKind:
    """Whether the cluster serves a provider's kind of policy in the form that we write."""

    problem: str = ""
    """Empty where it does."""
    foreign: bool = False
    """It is served, and another project's of the same name."""
    unread: bool = False
    """The operator cannot see whether it is served."""


@dataclass(frozen=True)
class ClusterFacts:
    """What is known of the cluster."""

    nodes: frozenset[NodeSort] = frozenset()
    daemon_sets: Mapping[str, DaemonSetFact] = field(default_factory=dict)
    """By name; those of DAEMON_SETS that are there."""
    config: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By ConfigMap and key; those of CONFIG_KEYS that are there."""
    policy_kinds: Mapping[str, PolicyKind] = field(default_factory=dict)
    """The kinds of policy of providers, by name; a kind that is missing is not served."""
    node_classes: bool = False
    """The cluster serves nodeclasses.eks.amazonaws.com, which EKS Auto Mode brings."""
    unread: frozenset[str] = frozenset()
    """What could not be read, by the names of this module: nothing is concluded from its absence."""

    def is_ready(self, daemon_set: str) -> bool:
        """Tell whether a DaemonSet runs."""
        found = self.daemon_sets.get(daemon_set)
        return found is not None and found.ready

    def is_marked(self, daemon_set: str, mark: str) -> bool:
        """Tell whether a DaemonSet has an argument or a container."""
        found = self.daemon_sets.get(daemon_set)
        return found is not None and mark in found.marks

    def setting(self, config_map: str, key: str, default: str) -> str:
        """Return the value of a key, or what the program takes where it is missing."""
        return self.config.get(config_map, {}).get(key, default)

    def kind(self, name: str) -> PolicyKind:
        """Return a kind of policy."""
        return self.policy_kinds.get(name, PolicyKind(f"the cluster serves no {name}"))

    def is_unusable(self, name: str) -> bool:
        """Tell whether it is known that a kind cannot be used; of a kind that is none of providers, never."""
        return name in self.policy_kinds and bool(self.policy_kinds[name].problem)

    def with_label(self, label: tuple[str, str]) -> bool:
        """Tell whether any node has a label with that value."""
        return any(label in sort.labels for sort in self.nodes)

    def with_key(self, key: str) -> bool:
        """Tell whether any node has a label, whatever its value."""
        return any(sort.has(key) for sort in self.nodes)

    def in_cloud(self, cloud: str) -> bool:
        """Tell whether any node says that it runs in a cloud."""
        return any(sort.cloud == cloud for sort in self.nodes)

    def hosts(self, pinned: Mapping[str, str]) -> Iterator[NodeSort]:
        """Yield the sorts of nodes that may host pods with a node selector."""
        wanted = {(key, value if NODE_LABELS[key] else "") for key, value in pinned.items() if key in NODE_LABELS}
        yield from (sort for sort in self.nodes if sort.schedulable and wanted <= sort.labels)


NOTHING_KNOWN: Final = ClusterFacts()
"""Of a cluster in which nothing that counts was found."""
