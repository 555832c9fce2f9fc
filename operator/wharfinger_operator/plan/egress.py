"""Who enforces an environment's egress rules, and what that one makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wharfinger_crds import conditions as c
from wharfinger_crds.egress_rules import EgressRules, egress_rules
from wharfinger_crds.environment import Egress, EnvironmentSpec
from wharfinger_crds.settings import Settings
from wharfinger_operator.cluster_facts import ClusterFacts
from wharfinger_operator.plan.detection.order import detect
from wharfinger_operator.plan.detection.resolution import ProviderResolution
from wharfinger_operator.plan.once import once
from wharfinger_operator.plan.providers import aws, cilium, gke, network_policy
from wharfinger_operator.plan.providers.fence import Fence
from wharfinger_operator.world import DnsPeer

BASE: Final = "NetworkPolicy"


@dataclass(frozen=True)
class _Maker:
    """A provider."""

    policies: Callable[[Fence], tuple[dict[str, Any], ...]]
    """In the order in which they are applied."""
    domains_exact: Callable[[EgressRules], c.Finding]
    kind: str = ""
    """The kind of policy that it brings."""
    needs: str = ""
    """What the cluster must have for it."""


_MAKERS: Final[Mapping[str, _Maker]] = {
    BASE: _Maker(network_policy.network_policy, network_policy.domains_exact),
    "Cilium": _Maker(cilium.cilium, cilium.domains_exact, "CiliumNetworkPolicy", "install Cilium"),
    "AWS": _Maker(aws.aws, aws.domains_exact, "ApplicationNetworkPolicy", "it comes with EKS Auto Mode and its network policy controller"),
    "GKE": _Maker(gke.gke, gke.domains_exact, "FQDNNetworkPolicy", "make the cluster with Dataplane V2 and --enable-fqdn-network-policy"),
}  # fmt: skip
POLICY_KINDS: Final = (*(maker.kind for maker in _MAKERS.values() if maker.kind), BASE)
"""Every kind of policy that may stand around a server, the base layer last: it is the last to go."""


@dataclass(frozen=True)
class Provider:
    """Who enforces the rules of an environment."""

    name: str
    found: ProviderResolution
    """What the cluster says about it; names another one where the base layer stands in."""
    resolved: c.Finding
    """ProviderResolved."""

    def policies(self, fence: Fence) -> tuple[dict[str, Any], ...]:
        """Return the policies around one server, in the order in which they are applied."""
        return _MAKERS[self.name].policies(fence)

    def domains_enforced(self, rules: EgressRules) -> c.Finding:
        """Return DomainRulesEnforced, as far as the cluster's settings tell."""
        return self.found.domains if rules.domains else c.true(c.DOMAIN_RULES_ENFORCED, c.NOT_NEEDED, "no domains are named")

    def domains_exact(self, rules: EgressRules) -> c.Finding:
        """Return DomainsExact."""
        if not rules.domains:
            return c.true(c.DOMAINS_EXACT, c.NOT_NEEDED, "no domains are named")
        return _MAKERS[self.name].domains_exact(rules)


@once
def provider_of(spec: EnvironmentSpec, cluster: ClusterFacts, settings: Settings) -> Provider:
    """Return the provider; where its kind is not served, the base layer stands in, in which domains stay shut."""
    asked = spec.egress.provider
    pinned: dict[str, str] = {}
    for pods in (settings.servers.pod_defaults, spec.pod_defaults):
        pinned |= (pods.node_selector or {}) if pods else {}
    found = detect(cluster, asked, pinned)
    maker = _MAKERS[found.name]
    if maker.kind and (problem := cluster.kind(maker.kind).problem):
        message = f"spec.egress.provider is {asked}, but {problem}: {maker.needs}; until then domains stay shut"
        return Provider(BASE, found, c.false(c.PROVIDER_RESOLVED, c.PROVIDER_MISSING, message))
    said = f"{found.name}, as spec.egress.provider says" if found.source == "Override" else f"{found.name}, as the cluster shows"
    return Provider(found.name, found, c.true(c.PROVIDER_RESOLVED, c.SUCCEEDED, said))


def dns_problem(provider: Provider, rules: EgressRules, dns: DnsPeer) -> c.Finding | None:
    """Return why servers could not look names up (ProviderResolved=False), or None."""
    if rules.opens_nothing or dns.blocks or (dns.pods and provider.name != "AWS"):
        return None
    # On EKS Auto Mode no pods answer; elsewhere on AWS there is the Service, whose address is known.
    return c.false(
        c.PROVIDER_RESOLVED, c.DNS_UNKNOWN, "no address answers names, so none is let through: set dns.addresses of the platform settings"
    )


def egress_problem(egress: Egress) -> c.Finding | None:
    """Return why the rules cannot be translated (Accepted=False), or None."""
    rules = egress_rules(egress)
    return rules if isinstance(rules, c.Finding) else None
