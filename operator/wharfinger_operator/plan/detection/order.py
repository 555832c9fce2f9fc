"""The order of decisions: the cloud first, since clouds serve kinds that they do not honour; kinds of policy count last.

An override is obeyed, as names on managed clusters change; what speaks against it is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal

from wharfinger_crds import conditions as c
from wharfinger_operator.cluster_facts import (
    ANETD,
    CILIUM,
    DAEMON_SETS_READ,
    ENGINES,
    FARGATE,
    NODES_READ,
    VIRTUAL,
    ClusterFacts,
)
from wharfinger_operator.plan.detection import aks, cilium, eks, gke
from wharfinger_operator.plan.detection.resolution import (
    ProviderName,
    ProviderResolution,
    awaiting,
    base,
    daemon_set,
    no_evidence,
    no_provider,
    shut,
    unread,
)

KINDS: Final[Mapping[ProviderName, str]] = MappingProxyType({"Cilium": cilium.KIND, "AWS": eks.KIND, "GKE": gke.KIND})
"""The kind of policy that each provider brings."""
_NOBODY: Final[Mapping[str, str]] = MappingProxyType({})


def detect(
    facts: ClusterFacts, asked: Literal["Auto", "NetworkPolicy", "Cilium", "AWS", "GKE"] = "Auto", pinned: Mapping[str, str] = _NOBODY
) -> ProviderResolution:
    """Return who enforces the rules of an environment that asks for a provider; `pinned` is the node selector of its pods."""
    found = _with_serverless(_detected(facts, pinned), facts, pinned)
    return found if asked == "Auto" else _overridden(asked, found, facts)


def _detected(facts: ClusterFacts, pinned: Mapping[str, str]) -> ProviderResolution:
    for read in (NODES_READ, DAEMON_SETS_READ):
        if read in facts.unread:
            return base((f"the operator cannot read {read}",), unread(read), no_evidence(f"the operator cannot read {read}"))
    if gke.is_gke(facts):
        return gke.gke(facts) or _engine(facts, (gke.SEEN,))
    if eks.is_eks(facts):
        return eks.eks(facts, pinned) or _engine(facts, (eks.SEEN,))
    if aks.is_aks(facts):
        return aks.aks(facts) or _engine(facts, (aks.SEEN,))
    return cilium.cilium(facts) or _engine(facts, ())


def _engine(facts: ClusterFacts, before: tuple[str, ...]) -> ProviderResolution:
    """Return the engine that enforces NetworkPolicies, if one is known by its DaemonSet."""
    known = tuple(
        daemon_set(name, f"{who} enforces NetworkPolicies where its settings let it")
        for name, who in ENGINES.items()
        if facts.is_ready(name)
    )
    idle = tuple(f"DaemonSet kube-system/{name} has no ready pod" for name in sorted(facts.daemon_sets) if not facts.is_ready(name))
    if known:
        return base((*before, *known, *idle), no_provider())
    served = not facts.kind(cilium.KIND).problem and CILIUM not in facts.daemon_sets
    left = (f"the cluster serves {cilium.KIND}, and no agent of Cilium runs in kube-system",) if served else ()
    agent = next((name for name in (CILIUM, ANETD) if name in facts.daemon_sets), None)
    domains = awaiting(f"DaemonSet kube-system/{agent} has no ready pod") if agent else no_provider()
    seen = (*before, *idle, *left, "no engine of network policies was found that is known by its DaemonSet in kube-system")
    return base(seen, domains, no_evidence("no engine of network policies was found"))


def _with_serverless(found: ProviderResolution, facts: ClusterFacts, pinned: Mapping[str, str]) -> ProviderResolution:
    serverless = {FARGATE: "Fargate", VIRTUAL: "a virtual kubelet"}
    where = [what for label, what in serverless.items() if any(label in sort.labels for sort in facts.hosts(pinned))]
    warned = tuple(f"nodes of {what} enforce no policies: keep servers off them with spec.podDefaults.nodeSelector" for what in where)
    return replace(found, evidence=(*found.evidence, *warned)) if warned else found


def _overridden(asked: ProviderName, found: ProviderResolution, facts: ClusterFacts) -> ProviderResolution:
    says = f"spec.egress.provider says {asked}"
    if asked == found.name:
        return replace(found, source="Override", evidence=(says, *found.evidence))
    contradiction = f"{says}, and the cluster looks like {found.name}"
    evidence = (contradiction, *found.evidence)
    if asked == "NetworkPolicy":
        domains = shut(c.NO_FQDN_PROVIDER, "a NetworkPolicy names no domains: leave spec.egress.provider out, or name one that does")
        return ProviderResolution(asked, "Override", evidence, found.egress, domains)
    kind = facts.kind(KINDS[asked])
    reason = c.FOREIGN_CRD_SCHEMA if kind.foreign else c.NO_FQDN_PROVIDER
    against = f" ({found.domains.message})" if found.domains.reason not in {c.NO_FQDN_PROVIDER, c.AWAITING_PROVIDER} else ""
    domains = (
        awaiting(f"{contradiction}{against}: no policy has been acknowledged yet")
        if not kind.problem or kind.unread
        else shut(reason, kind.problem)
    )
    return ProviderResolution(asked, "Override", evidence, found.egress, domains)
