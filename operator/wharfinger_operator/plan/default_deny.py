"""The policy that closes a server namespace for every pod. The chart owns it, so the operator says when it is missing and does not write it."""

from __future__ import annotations

from wharfinger_crds import conditions as c
from wharfinger_operator.world import Manifest

_BOTH = {"Ingress", "Egress"}


def is_default_deny(policy: Manifest) -> bool:
    """Tell whether a NetworkPolicy selects every pod of its namespace and lets nothing in or out."""
    spec, meta = policy.get("spec", {}), policy["metadata"]
    selector = spec.get("podSelector") or {}
    selects_all = not selector.get("matchLabels") and not selector.get("matchExpressions")
    rules = spec.get("ingress") or spec.get("egress")
    return bool(selects_all and not rules and set(spec.get("policyTypes", ())) >= _BOTH and not meta.get("deletionTimestamp"))


def default_deny_missing(namespace: str) -> c.Finding:
    """Return the finding (EgressEnforced=False) of an environment whose namespace has no such policy."""
    return c.false(
        c.EGRESS_ENFORCED,
        c.DEFAULT_DENY_MISSING,
        f"namespace {namespace} has no NetworkPolicy that selects every pod and lets nothing in or out: apply the chart's default-deny again;"
        " until then only pods that the operator made are fenced",
    )
