"""GKE: Dataplane V2 with its FQDN policies; it is a Cilium whose own kinds are served and not honoured, so that it is looked at before those.

Another project's kind has the name of the FQDN policies, and another schema (GoogleCloudPlatform/gke-fqdnnetworkpolicies-golang).
"""

from __future__ import annotations

from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_operator.cluster_facts import ANETD, GKE_POOL, ClusterFacts
from wharfinger_operator.plan.detection.cilium import KIND as CILIUM_KIND
from wharfinger_operator.plan.detection.cilium import cilium
from wharfinger_operator.plan.detection.resolution import ProviderResolution, awaiting, base, daemon_set, provider, shut

KIND = "FQDNNetworkPolicy"
SEEN: Final = "nodes of Google Cloud"


def is_gke(facts: ClusterFacts) -> bool:
    """Tell whether the cluster runs on Google Cloud."""
    return facts.in_cloud("gce") or facts.with_key(GKE_POOL)


def gke(facts: ClusterFacts) -> ProviderResolution | None:
    """Return what the cluster's network is; None where it is none of Google's own, nor Cilium."""
    seen: tuple[str, ...] = (SEEN,)
    if not facts.is_ready(ANETD):
        return cilium(facts, seen)
    seen = (*seen, daemon_set(ANETD, "Dataplane V2"))
    if not facts.kind(CILIUM_KIND).problem:
        seen = (*seen, f"the cluster serves {CILIUM_KIND}, which Dataplane V2 does not honour")
    kind = facts.kind(KIND)
    if kind.unread:
        return base((*seen, kind.problem), awaiting(kind.problem))
    if kind.foreign:
        why = f"{kind.problem}: remove it, and enable GKE's own with --enable-fqdn-network-policy"
        return base((*seen, kind.problem), shut(c.FOREIGN_CRD_SCHEMA, why))
    if kind.problem:
        why = "rules for domains are off: gcloud container clusters update --enable-fqdn-network-policy"
        return base((*seen, kind.problem), shut(c.FQDN_FEATURE_DISABLED, why))
    domains = awaiting("GKE reports nothing about its FQDN policies, so that nothing can show it: servers that require it wait for ever")
    return provider("GKE", (*seen, f"the cluster serves {KIND}"), domains, "GKE reports nothing about policies")
