"""The NetworkPolicy of one server: in from the gateway and the operator only, out as its environment says."""

from __future__ import annotations

from typing import Any

from wharfinger_crds import names
from wharfinger_crds.environment import Egress
from wharfinger_operator.plan.egress import egress_rules
from wharfinger_operator.plan.identity import Identity
from wharfinger_operator.world import DnsPeer


def network_policy(identity: Identity, egress: Egress, dns: DnsPeer, system_namespace: str) -> dict[str, Any]:
    """Return the base layer for one server's pods, closed for everything that is not said."""
    callers = [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": system_namespace}},
            "podSelector": {
                "matchExpressions": [{"key": names.COMPONENT, "operator": "In", "values": ["gateway", "operator"]}],
                "matchLabels": {names.APP_NAME: names.MANAGER},
            },
        }
    ]
    out = egress_rules(egress, dns)
    return identity.child(
        "networking.k8s.io/v1", "NetworkPolicy", identity.server,
        spec={
            "podSelector": {"matchLabels": identity.selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": callers, "ports": [{"protocol": "TCP", "port": "mcp"}]}],
            **({"egress": out} if out else {}),
        },
    )  # fmt: skip
