"""What detection says, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wharfinger_crds import conditions as c

ProviderName = Literal["NetworkPolicy", "Cilium", "AWS", "GKE"]


@dataclass(frozen=True)
class ProviderResolution:
    """Who enforces egress rules, and what the cluster's own settings say about it.

    Never that they are enforced: settings prove only that they are not.
    """

    name: ProviderName
    source: Literal["Detected", "Override"]
    evidence: tuple[str, ...]
    """Sentences about what was seen, in the order in which it counted."""
    egress: c.Finding
    """EgressEnforced, False or Unknown."""
    domains: c.Finding
    """DomainRulesEnforced where domains are named, False or Unknown."""


def base(evidence: tuple[str, ...], domains: c.Finding, egress: c.Finding | None = None) -> ProviderResolution:
    """Return that NetworkPolicies have to do, and why domains stay shut."""
    return ProviderResolution("NetworkPolicy", "Detected", evidence, egress or no_evidence(), domains)


def provider(name: ProviderName, evidence: tuple[str, ...], domains: c.Finding, why: str = "") -> ProviderResolution:
    """Return a provider that knows domains, and why nothing is proven."""
    return ProviderResolution(name, "Detected", evidence, no_evidence(why), domains)


def no_evidence(why: str = "") -> c.Finding:
    """Return that nothing is proven."""
    said = why or "nothing has shown whether the cluster's network enforces egress rules"
    return c.unknown(c.EGRESS_ENFORCED, c.NO_EVIDENCE, f"{said}: `spec.egress.probe: On` tests it")


def off(reason: str, why: str) -> c.Finding:
    """Return that egress rules are not enforced."""
    return c.false(c.EGRESS_ENFORCED, reason, why)


def shut(reason: str, why: str) -> c.Finding:
    """Return that rules for domains are not in force, so that domains stay shut."""
    return c.false(c.DOMAIN_RULES_ENFORCED, reason, f"{why}; until then domains stay shut")


def void(reason: str, why: str) -> c.Finding:
    """Return that rules for domains are not in force, in a cluster where no rule is."""
    return c.false(c.DOMAIN_RULES_ENFORCED, reason, why)


def awaiting(why: str) -> c.Finding:
    """Return that it is open whether rules for domains are in force."""
    return c.unknown(c.DOMAIN_RULES_ENFORCED, c.AWAITING_PROVIDER, why)


def no_provider() -> c.Finding:
    """Return that nobody here knows domains."""
    return shut(c.NO_FQDN_PROVIDER, "a NetworkPolicy names no domains, and no provider that does was found: spec.egress.provider names one")


def unread(what: str) -> c.Finding:
    """Return that something decides which the operator may not read."""
    return awaiting(f"the operator cannot read {what}: grant it, or name the provider in spec.egress.provider")


def daemon_set(name: str, meaning: str) -> str:
    """Return the evidence that a DaemonSet gives."""
    return f"DaemonSet kube-system/{name} is ready: {meaning}"
