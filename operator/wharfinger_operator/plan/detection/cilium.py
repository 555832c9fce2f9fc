"""Cilium that its users run themselves: its agent, and the settings that switch policies off.

Settings of the ConfigMap cilium-config: Cilium documentation, "Agent configuration", and its Helm values.
"""

from __future__ import annotations

from wharfinger_crds import conditions as c
from wharfinger_operator.cluster_facts import CILIUM, CILIUM_CONFIG, ClusterFacts, config_read
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

KIND = "CiliumNetworkPolicy"
_WHERE = f"kube-system/{CILIUM_CONFIG}"


def cilium(facts: ClusterFacts, before: tuple[str, ...] = ()) -> ProviderResolution | None:
    """Return what a ready Cilium means; None where there is none. `before` is the evidence that led here."""
    if not facts.is_ready(CILIUM):
        return None
    seen = (*before, daemon_set(CILIUM, "Cilium"))
    return settings_problem(facts, seen) or _kind_problem(facts, seen) or _healthy(facts, seen)


def settings_problem(facts: ClusterFacts, seen: tuple[str, ...]) -> ProviderResolution | None:
    """Return which setting keeps Cilium from enforcing; None where none does."""
    if config_read(CILIUM_CONFIG) in facts.unread:
        return base(seen, unread(config_read(CILIUM_CONFIG)), no_evidence(f"the operator cannot read {config_read(CILIUM_CONFIG)}"))
    if facts.setting(CILIUM_CONFIG, "enable-policy", "default") == "never":
        why = f"Cilium enforces no policies: enable-policy is never in {_WHERE}; set it to default"
        return base((*seen, f"{_WHERE}: enable-policy is never"), void(c.POLICY_DISABLED, why), off(c.POLICY_DISABLED, why))
    if facts.setting(CILIUM_CONFIG, "policy-audit-mode", "false") == "true":
        why = f"Cilium reports what policies forbid, and lets it pass: policy-audit-mode is true in {_WHERE}; set it to false"
        return base((*seen, f"{_WHERE}: policy-audit-mode is true"), void(c.AUDIT_MODE, why), off(c.AUDIT_MODE, why))
    if facts.setting(CILIUM_CONFIG, "enable-l7-proxy", "true") == "false":
        why = f"Cilium learns no names without its proxy: enable-l7-proxy is false in {_WHERE}; set it to true"
        return base((*seen, f"{_WHERE}: enable-l7-proxy is false"), shut(c.L7_PROXY_DISABLED, why), _plain_policies(facts))
    return None


def _plain_policies(facts: ClusterFacts) -> c.Finding | None:
    if facts.setting(CILIUM_CONFIG, "enable-k8s-networkpolicy", "true") != "false":
        return None
    return off(c.POLICY_DISABLED, f"Cilium enforces no NetworkPolicies: enable-k8s-networkpolicy is false in {_WHERE}; set it to true")


def _kind_problem(facts: ClusterFacts, seen: tuple[str, ...]) -> ProviderResolution | None:
    kind = facts.kind(KIND)
    if not kind.problem:
        return None
    why = f"{kind.problem}: install Cilium's own CRDs"
    domains = awaiting(kind.problem) if kind.unread else shut(c.FOREIGN_CRD_SCHEMA if kind.foreign else c.NO_FQDN_PROVIDER, why)
    return base((*seen, kind.problem), domains, _plain_policies(facts))


def _healthy(facts: ClusterFacts, seen: tuple[str, ...]) -> ProviderResolution:
    plain = facts.setting(CILIUM_CONFIG, "enable-k8s-networkpolicy", "true") != "false"
    warned = () if plain else (f"{_WHERE}: enable-k8s-networkpolicy is false, so who may call servers is not enforced",)
    return provider("Cilium", (*seen, f"the cluster serves {KIND}", *warned), awaiting("no policy has been found valid by Cilium yet"))
