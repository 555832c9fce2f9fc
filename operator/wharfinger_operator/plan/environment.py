"""The status of an environment: what is promised about egress, and what is known to hold."""

from __future__ import annotations

from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds.egress_rules import egress_rules
from wharfinger_crds.environment import EnvironmentStatus, ProviderStatus
from wharfinger_crds.presets import presets
from wharfinger_operator.plan.default_deny import default_deny_missing
from wharfinger_operator.plan.egress import Provider, dns_problem, provider_of
from wharfinger_operator.plan.enforcement import domains_enforced, egress_enforced, probed_before
from wharfinger_operator.plan.installation_checks import environment_problem, server_namespace
from wharfinger_operator.plan.probe import ProbeQuestion
from wharfinger_operator.plan.restriction import restriction_findings
from wharfinger_operator.plan.used_by import used_by
from wharfinger_operator.world import EnvironmentWorld

SENTENCE: Final = 253
SENTENCES: Final = 16


def _accepted(world: EnvironmentWorld) -> c.Finding:
    if world.environment.spec.default and len(world.defaults) > 1:
        return c.false(
            c.ACCEPTED, c.MANY_DEFAULTS, f"several environments have `default: true`, keep one: {', '.join(sorted(world.defaults))}"
        )
    return environment_problem(world.environment, world.settings) or c.true(c.ACCEPTED)


def environment_status(world: EnvironmentWorld, now: str) -> EnvironmentStatus:
    """Return the status to report."""
    meta, egress = world.environment.metadata, world.environment.spec.egress
    provider = provider_of(world.environment.spec, world.cluster, world.settings)
    rules = egress_rules(egress, world.cluster_ranges)
    namespace = server_namespace(world.environment, world.settings)
    enforced = egress_enforced(world, provider) if world.closed else default_deny_missing(namespace)
    if isinstance(rules, c.Finding):
        domains: tuple[c.Finding, ...] = ()
        nameless = None
    else:
        domains = (domains_enforced(world, provider, rules), provider.domains_exact(rules))
        nameless = dns_problem(provider, rules, world.dns)
    gating = (_accepted(world), nameless or provider.resolved, *restriction_findings(world))
    ready, *rest = c.summary(gating)
    return EnvironmentStatus(
        observed_generation=meta.generation,
        conditions=c.merged(
            world.environment.status.conditions,
            (ready, *rest[: len(gating)], enforced, *domains, *rest[len(gating) :]),
            meta.generation,
            now,
        ),
        namespace=namespace,
        provider=ProviderStatus(name=provider.name, source=provider.found.source, evidence=_evidence(provider)),
        dns_addresses=world.dns.blocks,
        installations=len(world.installations),
        used_by=used_by(world.installations),
        domains=0 if isinstance(rules, c.Finding) else len(rules.domains),
        preset_version=presets().version if egress.presets else None,
    )


def _evidence(provider: Provider) -> tuple[str, ...]:
    """Return as much of the evidence as a status has room for: what an API server said stands in it, too."""
    return tuple(sentence[:SENTENCE] for sentence in provider.found.evidence[:SENTENCES])


def probe_question(world: EnvironmentWorld) -> ProbeQuestion | None:
    """Return what is to be probed; None where nothing is."""
    meta, spec = world.environment.metadata, world.environment.spec
    if spec.egress.probe == "Off" or meta.deletion_timestamp or _accepted(world).status != "True":
        return None
    return ProbeQuestion(
        environment=meta.name,
        uid=meta.uid,
        generation=meta.generation,
        namespace=server_namespace(world.environment, world.settings),
        provider=provider_of(spec, world.cluster, world.settings).name,
        image=world.settings.images.base,
        pod_defaults=(world.settings.servers.pod_defaults, spec.pod_defaults),
    )


def probe_known(world: EnvironmentWorld) -> bool:
    """Tell whether the status holds a verdict of the probe about the environment as it is."""
    return probed_before(world, provider_of(world.environment.spec, world.cluster, world.settings)) is not None
