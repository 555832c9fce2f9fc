"""Whether it is checked who assigns entries and installations to a restricted environment.

Only admission knows who writes. Nothing that is stored tells it afterwards, so the operator cannot check it again; it says whether admission does.
"""

from __future__ import annotations

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_operator.world import EnvironmentWorld, Manifest


def is_in_force(policy: Manifest | None, binding: Manifest | None) -> bool:
    """Tell whether a ValidatingAdmissionPolicy refuses, also when it fails, and its binding leaves nothing out."""
    if policy is None or binding is None:
        return False
    bound, reference = binding["spec"], binding["spec"].get("paramRef", {})
    return (
        policy["spec"].get("failurePolicy", "Fail") == "Fail"
        and bound["policyName"] == policy["metadata"]["name"]
        and "Deny" in bound["validationActions"]
        and not _narrows(bound.get("matchResources", {}))
        and not reference.get("name")
        and not any(reference.get("selector", {}).values())
    )


def _narrows(match: Manifest) -> bool:
    return any(value for key, value in match.items() if key != "matchPolicy")


def restriction_findings(world: EnvironmentWorld) -> tuple[c.Finding, ...]:
    """Return RestrictionEnforced of a restricted environment, and nothing of another."""
    if not world.environment.spec.restricted:
        return ()
    if world.assignments_checked:
        return (c.true(c.RESTRICTION_ENFORCED),)
    return (
        c.false(
            c.RESTRICTION_ENFORCED,
            c.ADMISSION_MISSING,
            "nobody checks who assigns entries and installations to this environment: the ValidatingAdmissionPolicy"
            f" {names.RESTRICTED_ASSIGNMENT} of the chart and its binding are not in force as they come (Helm value admission.enabled: true)",
        ),
    )
