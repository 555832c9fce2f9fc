"""What providers make of an Environment, for a server of that environment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from golden import manifests
from manifest_world import SETTINGS
from wharfinger_crds import conditions as c
from wharfinger_crds.egress_rules import EgressRules, egress_rules
from wharfinger_crds.environment import Environment
from wharfinger_crds.settings import Dns
from wharfinger_operator.cluster_facts import ClusterFacts, PolicyKind
from wharfinger_operator.plan.dns import dns_peer
from wharfinger_operator.plan.egress import POLICY_KINDS, Provider, provider_of
from wharfinger_operator.plan.identity import Identity
from wharfinger_operator.plan.providers.fence import Fence
from wharfinger_operator.world import DnsService

PROVIDERS: Final = ("NetworkPolicy", "Cilium", "AWS", "GKE")
SERVED: Final = ClusterFacts(policy_kinds={kind: PolicyKind() for kind in POLICY_KINDS})
SERVICE: Final = {"addresses": ["10.96.0.10"], "targetPorts": [["UDP", "dns"], ["TCP", "dns-tcp"]]}
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """An environment's rules, and where its servers run."""

    environment: Environment
    rules: EgressRules
    fence: Fence

    def provider(self, name: str) -> Provider:
        spec = self.environment.spec
        return provider_of(spec.model_copy(update={"egress": spec.egress.model_copy(update={"provider": name})}), SERVED, SETTINGS)

    def policies(self, provider: str) -> tuple[Manifest, ...]:
        return self.provider(provider).policies(self.fence)


def scene(documents: Sequence[Manifest], namespace: str = "wharfinger-servers") -> Scene:
    """Return the scene of an Environment; a document of kind Cluster says what the cluster's DNS and own addresses are."""
    environment = Environment.parse(next(d for d in documents if d["kind"] == "Environment"))
    cluster = next((d for d in documents if d["kind"] == "Cluster"), {})
    rules = egress_rules(environment.spec.egress, cluster.get("ranges", ()))
    assert not isinstance(rules, c.Finding), rules
    service = cluster.get("service", SERVICE)
    seen = DnsService(tuple(service.get("addresses", ())), tuple((p, port) for p, port in service.get("targetPorts", ())))
    dns = dns_peer(seen, Dns.model_validate(cluster.get("dns", {})))
    identity = Identity("team-a", "time", "00000000-0000-0000-0000-000000000001", namespace)
    return Scene(environment, rules, Fence(identity, rules, dns, "wharfinger-system"))


def scene_of(case: Any, namespace: str = "wharfinger-servers") -> Scene:
    """Return the scene of a golden case."""
    return scene(manifests(case), namespace)
