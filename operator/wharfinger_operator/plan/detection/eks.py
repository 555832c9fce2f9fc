"""EKS: Auto Mode with its network policy controller, the VPC CNI with its node agent, or another engine in their place.

The control plane makes its CRDs whether the controller is on or not, so that they prove nothing (aws/amazon-network-policy-controller-k8s);
rules for domains are enforced on nodes of Auto Mode only (Amazon EKS user guide, "DNS-based policies").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_operator.cluster_facts import (
    AUTO_MODE,
    EKS_GROUP,
    ENGINES,
    FARGATE,
    NODE_AGENT,
    VPC_CNI,
    VPC_CNI_CONFIG,
    ClusterFacts,
    config_read,
)
from wharfinger_operator.plan.detection.cilium import cilium
from wharfinger_operator.plan.detection.resolution import (
    ProviderResolution,
    awaiting,
    base,
    daemon_set,
    no_evidence,
    off,
    provider,
    shut,
    unread,
    void,
)

KIND = "ApplicationNetworkPolicy"
_SWITCH = "enable-network-policy-controller"
_WHERE = f"kube-system/{VPC_CNI_CONFIG}"
_PIN = f"spec.podDefaults.nodeSelector {AUTO_MODE[0]}: {AUTO_MODE[1]}"
SEEN: Final = "nodes of AWS"


def is_eks(facts: ClusterFacts) -> bool:
    """Tell whether the cluster runs on AWS."""
    return facts.in_cloud("aws") or facts.with_key(AUTO_MODE[0]) or facts.with_key(EKS_GROUP)


def eks(facts: ClusterFacts, pinned: Mapping[str, str]) -> ProviderResolution | None:
    """Return what the cluster's network is; None where it is none of AWS's own."""
    seen: tuple[str, ...] = (SEEN,)
    if found := cilium(facts, seen):
        return found
    if facts.with_label(AUTO_MODE) or facts.node_classes:
        return _auto_mode(facts, pinned, (*seen, "nodes of EKS Auto Mode" if facts.with_label(AUTO_MODE) else "the kinds of EKS Auto Mode"))
    if not facts.is_ready(VPC_CNI) or any(facts.is_ready(engine) for engine in ENGINES):
        return None
    return _vpc_cni(facts, (*seen, daemon_set(VPC_CNI, "the Amazon VPC CNI")))


def _auto_mode(facts: ClusterFacts, pinned: Mapping[str, str], seen: tuple[str, ...]) -> ProviderResolution:
    if problem := _controller_problem(facts, seen):
        return problem
    seen = (*seen, f"{_WHERE}: {_SWITCH} is true")
    kind = facts.kind(KIND)
    if kind.problem:
        why = f"{kind.problem}: update the cluster"
        domains = awaiting(kind.problem) if kind.unread else shut(c.FOREIGN_CRD_SCHEMA if kind.foreign else c.NO_FQDN_PROVIDER, why)
        return base((*seen, kind.problem), domains)
    others = [sort for sort in facts.hosts(pinned) if AUTO_MODE not in sort.labels]
    if not others:
        return provider("AWS", seen, awaiting("no policy has been taken up by the network policy controller yet"))
    unfenced = any(FARGATE in sort.labels for sort in others)
    which = "nodes of Fargate, which enforce no policies," if unfenced else "nodes outside of Auto Mode, which keep domains shut,"
    mixed = f"servers may run on {which} too: keep them on Auto Mode's with {_PIN}"
    return provider("AWS", (*seen, mixed), void(c.NOT_AUTO_MODE, mixed))


def _vpc_cni(facts: ClusterFacts, seen: tuple[str, ...]) -> ProviderResolution:
    if problem := _controller_problem(facts, seen):
        return problem
    seen = (*seen, f"{_WHERE}: {_SWITCH} is true")
    needed = "rules for domains need nodes of EKS Auto Mode"
    if not facts.is_marked(VPC_CNI, NODE_AGENT):
        why = f"the node agent in DaemonSet kube-system/{VPC_CNI} runs without {NODE_AGENT}: enable network policies in the VPC CNI add-on"
        return base((*seen, f"its node agent runs without {NODE_AGENT}"), void(c.NOT_AUTO_MODE, needed), off(c.POLICY_DISABLED, why))
    return base((*seen, f"its node agent runs with {NODE_AGENT}"), shut(c.NOT_AUTO_MODE, needed))


def _controller_problem(facts: ClusterFacts, seen: tuple[str, ...]) -> ProviderResolution | None:
    if config_read(VPC_CNI_CONFIG) in facts.unread:
        return base(seen, unread(config_read(VPC_CNI_CONFIG)), no_evidence(f"the operator cannot read {config_read(VPC_CNI_CONFIG)}"))
    if facts.setting(VPC_CNI_CONFIG, _SWITCH, "false") == "true":
        return None
    why = f"the network policy controller is off: set {_SWITCH} to true in ConfigMap {_WHERE}"
    return base((*seen, f"{_WHERE}: {_SWITCH} is not true"), void(c.CONTROLLER_DISABLED, why), off(c.CONTROLLER_DISABLED, why))
