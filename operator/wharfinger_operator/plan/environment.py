"""The status of an environment: what is promised about egress, and what is known to hold."""

from __future__ import annotations

from wharfinger_crds import conditions as c
from wharfinger_crds.environment import EnvironmentStatus, ProviderStatus
from wharfinger_operator.plan.default_deny import default_deny_missing
from wharfinger_operator.plan.installation_checks import environment_problem, server_namespace
from wharfinger_operator.plan.restriction import restriction_findings
from wharfinger_operator.plan.used_by import used_by
from wharfinger_operator.world import EnvironmentWorld


def _accepted(world: EnvironmentWorld) -> c.Finding:
    if world.environment.spec.default and len(world.defaults) > 1:
        return c.false(
            c.ACCEPTED, c.MANY_DEFAULTS, f"several environments have `default: true`, keep one: {', '.join(sorted(world.defaults))}"
        )
    return environment_problem(world.environment, world.settings) or c.true(c.ACCEPTED)


def environment_status(world: EnvironmentWorld, now: str) -> EnvironmentStatus:
    """Return the status to report."""
    meta, spec = world.environment.metadata, world.environment.spec
    accepted = _accepted(world)
    named = len(spec.egress.domains) + len(spec.egress.presets)
    domains = (
        c.false(
            c.DOMAIN_RULES_ENFORCED,
            c.NOT_IMPLEMENTED,
            "domains and presets are not translated in this version: the NetworkPolicy keeps them unreachable",
        )
        if named
        else c.true(c.DOMAIN_RULES_ENFORCED, c.NOT_NEEDED, "no domains are named")
    )
    namespace = server_namespace(world.environment, world.settings)
    egress = c.unknown(
        c.EGRESS_ENFORCED, c.NOT_PROVEN, "NetworkPolicies are written; whether the cluster's network enforces them has not been tested"
    )
    info = (egress if world.closed else default_deny_missing(namespace), domains)
    provider = c.true(c.PROVIDER_RESOLVED, c.SUCCEEDED, "NetworkPolicy, the base layer; other providers are not looked for in this version")
    gating = (accepted, provider, *restriction_findings(world))
    ready, *rest = c.summary(gating)
    return EnvironmentStatus(
        observed_generation=meta.generation,
        conditions=c.merged(
            world.environment.status.conditions, (ready, *rest[: len(gating)], *info, *rest[len(gating) :]), meta.generation, now
        ),
        namespace=namespace,
        provider=ProviderStatus(name="NetworkPolicy", source="Override" if spec.egress.provider == "NetworkPolicy" else "Detected"),
        installations=len(world.installations),
        used_by=used_by(world.installations),
        domains=len(spec.egress.domains),
    )
