"""Whether egress rules are enforced: from evidence, never from objects that are written; and what waits for it.

Evidence is a probe's verdict, or a provider's own word about our policies; settings of the cluster can only speak against it. The word stands in
the status of installations, so that an environment adds up what its installations say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds.egress_rules import EgressRules
from wharfinger_crds.environment import Environment
from wharfinger_crds.installation import Installation
from wharfinger_operator.plan.egress import Provider
from wharfinger_operator.world import EnvironmentWorld, Manifest

AWS_FINALIZERS: Final = {"NetworkPolicy": "networking.k8s.aws/resources", "ApplicationNetworkPolicy": "networking.k8s.aws/anp-resources"}
"""What AWS's network policy controller puts on the policies that it has taken up."""
PROBED: Final = frozenset({c.PROBE_PASSED, c.PROBE_FAILED, c.PROBE_INCONCLUSIVE})
_SHOWN: Final = 3
_QUOTED: Final = 512


def acknowledged(policies: Iterable[Manifest], provider: str) -> c.Finding:
    """Return EgressEnforced as the provider's own word about the policies of one server; Unknown where it says nothing."""
    found = [(policy["kind"], _word(policy)) for policy in policies if policy["kind"] in _telling(provider)]
    for kind, word in found:
        if word.status == "False":
            return c.false(c.EGRESS_ENFORCED, c.POLICY_REJECTED, f"{kind}: {word.message}")
    silent = sorted(kind for kind, word in found if word.status != "True")
    if found and not silent:
        return c.true(c.EGRESS_ENFORCED, c.PROVIDER_ACKNOWLEDGED, found[0][1].message)
    return c.unknown(c.EGRESS_ENFORCED, c.NO_EVIDENCE, f"nothing has shown that {', '.join(silent) or 'its policies'} are enforced")


def _telling(provider: str) -> frozenset[str]:
    """Return the kinds of policy whose acknowledgement counts; GKE says nothing about any."""
    return {
        "Cilium": frozenset({"CiliumNetworkPolicy"}),
        "AWS": frozenset(AWS_FINALIZERS),
        "NetworkPolicy": frozenset({"NetworkPolicy"}),
    }.get(provider, frozenset())


def _word(policy: Manifest) -> c.Finding:
    if policy["metadata"].get("deletionTimestamp"):
        return c.unknown(c.EGRESS_ENFORCED, c.NO_EVIDENCE, "")
    if policy["kind"] == "CiliumNetworkPolicy":
        conditions = policy.get("status", {}).get("conditions", ())
        valid: Manifest = next((each for each in conditions if each.get("type") == "Valid"), {})
        if valid.get("status") == "False":
            return c.false(c.EGRESS_ENFORCED, c.POLICY_REJECTED, f"Cilium refuses it: {str(valid.get('message', ''))[:_QUOTED]}")
        if valid.get("status") == "True":
            return c.true(c.EGRESS_ENFORCED, c.PROVIDER_ACKNOWLEDGED, "Cilium has found its policy valid")
    elif AWS_FINALIZERS.get(policy["kind"]) in policy["metadata"].get("finalizers", ()):
        return c.true(c.EGRESS_ENFORCED, c.PROVIDER_ACKNOWLEDGED, "AWS's network policy controller has taken its policies up")
    return c.unknown(c.EGRESS_ENFORCED, c.NO_EVIDENCE, "")


def egress_enforced(world: EnvironmentWorld, provider: Provider) -> c.Finding:
    """Return EgressEnforced of an environment: what was tried, then what settings rule out, then what the provider says."""
    probed = _probed(world, provider)
    if probed is not None and probed.status != "Unknown":
        return probed
    if provider.found.egress.status == "False":
        return provider.found.egress
    said = _with_reason(world.installations, c.PROVIDER_ACKNOWLEDGED)
    if said:
        return c.true(c.EGRESS_ENFORCED, c.PROVIDER_ACKNOWLEDGED, f"{provider.name}: policies of servers have been acknowledged")
    if probed is not None:
        return probed
    if world.environment.spec.egress.probe == "On":
        return c.unknown(c.EGRESS_ENFORCED, c.NO_EVIDENCE, "the probe has not come to an end yet")
    return provider.found.egress


def domains_enforced(world: EnvironmentWorld, provider: Provider, rules: EgressRules) -> c.Finding:
    """Return DomainRulesEnforced of an environment."""
    found = provider.domains_enforced(rules)
    if found.status != "Unknown":
        return found
    if rejected := _with_reason(world.installations, c.POLICY_REJECTED):
        where = ", ".join(rejected[:_SHOWN])
        return c.false(c.DOMAIN_RULES_ENFORCED, c.POLICY_REJECTED, f"{provider.name} refuses policies: see EgressEnforced of {where}")
    if provider.name == provider.found.name and _with_reason(world.installations, c.PROVIDER_ACKNOWLEDGED):
        return c.true(c.DOMAIN_RULES_ENFORCED, c.PROVIDER_ACKNOWLEDGED, f"{provider.name}: policies of servers have been acknowledged")
    return found


def _with_reason(installations: Iterable[Installation], reason: str) -> list[str]:
    return sorted(
        f"{i.metadata.namespace}/{i.metadata.name}"
        for i in installations
        if (condition := i.status.condition(c.EGRESS_ENFORCED)) is not None and condition.reason == reason
    )


def _probed(world: EnvironmentWorld, provider: Provider) -> c.Finding | None:
    if world.environment.spec.egress.probe == "Off":
        return None
    return world.probe or probed_before(world, provider)


def probed_before(world: EnvironmentWorld, provider: Provider) -> c.Finding | None:
    """Return the verdict of the probe in the status, if it is about the environment as it is."""
    meta, status = world.environment.metadata, world.environment.status
    before = status.condition(c.EGRESS_ENFORCED)
    if before is None or before.reason not in PROBED or status.observed_generation != meta.generation:
        return None
    if status.provider is None or status.provider.name != provider.name:
        return None
    return c.Finding(before.type, before.status, before.reason, before.message)


def inherited(environment: Environment, own: c.Finding) -> c.Finding:
    """Return EgressEnforced of an installation: what its provider says of its own policies, and what is known of its environment."""
    of_environment = _current(environment, c.EGRESS_ENFORCED)
    if of_environment is None or own.reason == c.POLICY_REJECTED:
        return own
    if of_environment.status == "False" or (own.status != "True" and of_environment.reason in PROBED):
        return of_environment
    return own if own.status == "True" or of_environment.status == "True" else of_environment


def held_back(environment: Environment, *, runs: bool) -> c.Finding | None:
    """Return why no pod of a server may be there (WorkloadAvailable), where the environment requires that its rules are enforced.

    What is known to be unenforced closes; what is not known lets nothing start, and what runs already go on.
    """
    if environment.spec.egress.enforcement != "Require":
        return None
    name = environment.metadata.name
    found = [(kind, _current(environment, kind)) for kind in (c.EGRESS_ENFORCED, c.DOMAIN_RULES_ENFORCED)]
    for kind, finding in found:
        if finding is not None and finding.status == "False":
            why = f"{kind} of Environment {name} is False, which requires it: {finding.message}"
            return c.false(c.WORKLOAD_AVAILABLE, c.EGRESS_NOT_ENFORCED, why)
    for kind, finding in found if not runs else ():
        if finding is None or finding.status != "True":
            why = finding.message if finding else "it has not been judged yet"
            return c.false(c.WORKLOAD_AVAILABLE, c.WAITING, f"waits for {kind} of Environment {name}, which requires it: {why}")
    return None


def verdict(environment: Environment) -> tuple[c.Finding | None, ...]:
    """Return what installations of an environment look at in its status."""
    return tuple(_current(environment, kind) for kind in (c.EGRESS_ENFORCED, c.DOMAIN_RULES_ENFORCED))


def _current(environment: Environment, kind: str) -> c.Finding | None:
    found = environment.status.condition(kind)
    if found is None or environment.status.observed_generation != environment.metadata.generation:
        return None
    return c.Finding(found.type, found.status, found.reason, found.message)
