"""AKS: Azure CNI powered by Cilium, whose rules for domains are an option; else another engine.

Without Advanced Container Networking Services the kind is served, and rules for domains in it are blocked (Azure documentation, "FQDN filtering").
"""

from __future__ import annotations

from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_operator.cluster_facts import ACNS_AGENT, AKS_CILIUM, AKS_CLUSTER, AKS_MANAGED, FQDN_CONTAINER, ClusterFacts
from wharfinger_operator.plan.detection.cilium import KIND, cilium, settings_problem
from wharfinger_operator.plan.detection.resolution import ProviderResolution, awaiting, base, daemon_set, provider, shut

SEEN: Final = "nodes of Azure"


def is_aks(facts: ClusterFacts) -> bool:
    """Tell whether the cluster runs on Azure."""
    return facts.in_cloud("azure") or facts.with_key(AKS_CLUSTER) or facts.with_label(AKS_MANAGED)


def aks(facts: ClusterFacts) -> ProviderResolution | None:
    """Return what the cluster's network is; None where it is none of Azure's own, nor Cilium."""
    seen: tuple[str, ...] = (SEEN,)
    if not facts.with_label(AKS_CILIUM):
        return cilium(facts, seen)
    seen = (*seen, "nodes with Azure CNI powered by Cilium")
    if not (facts.is_ready(ACNS_AGENT) and facts.is_marked(ACNS_AGENT, FQDN_CONTAINER)):
        why = "rules for domains need Advanced Container Networking Services: az aks update --enable-acns"
        return base((*seen, f"no ready DaemonSet kube-system/{ACNS_AGENT} with container {FQDN_CONTAINER}"), shut(c.ACNS_REQUIRED, why))
    seen = (*seen, daemon_set(ACNS_AGENT, "Advanced Container Networking Services"))
    if problem := settings_problem(facts, seen):
        return problem
    if (kind := facts.kind(KIND)).problem:
        domains = (
            awaiting(kind.problem) if kind.unread else shut(c.FOREIGN_CRD_SCHEMA if kind.foreign else c.NO_FQDN_PROVIDER, kind.problem)
        )
        return base((*seen, kind.problem), domains)
    return provider("Cilium", seen, awaiting("no policy has been found valid by Cilium yet"))
