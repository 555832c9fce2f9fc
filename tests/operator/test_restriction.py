"""Restricted environments as the operator sees them: what it refuses, and whether it says that nobody else does."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from golden import manifests
from manifest_world import NOW, SETTINGS, installation_world
from wharfinger_crds import conditions as c
from wharfinger_crds.environment import Environment
from wharfinger_operator.plan.environment import environment_status
from wharfinger_operator.plan.installation_checks import installation_problem
from wharfinger_operator.plan.restriction import is_in_force
from wharfinger_operator.world import EnvironmentWorld

CASE = Path(__file__).parent / "plan/testdata/installation-stdio.in.yaml"
POLICY: dict[str, Any] = {"metadata": {"name": "p"}, "spec": {"failurePolicy": "Fail"}}
BINDING: dict[str, Any] = {
    "metadata": {"name": "b"},
    "spec": {
        "policyName": "p", "validationActions": ["Deny", "Audit"], "paramRef": {"selector": {}, "parameterNotFoundAction": "Allow"},
        "matchResources": {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}},
    },
}  # fmt: skip
WEAKER: list[Callable[[dict[str, Any], dict[str, Any]], object]] = [
    lambda policy, _: policy.update(failurePolicy="Ignore"),
    lambda _, binding: binding.update(validationActions=["Audit"]),
    lambda _, binding: binding.update(policyName="other"),
    lambda _, binding: binding["paramRef"].update(selector={"matchLabels": {"a": "b"}}),
    lambda _, binding: binding.update(paramRef={"name": "one"}),
    lambda _, binding: binding["matchResources"].update(namespaceSelector={"matchLabels": {"a": "b"}}),
    lambda _, binding: binding["matchResources"].update(excludeResourceRules=[{"resources": ["*"]}]),
]


def problem(*, restricted: bool, default: bool, by_entry: bool, by_installation: bool) -> c.Finding | None:
    """Return why an installation of an entry is refused that runs in an environment, named by these."""
    documents = {d["kind"]: d for d in manifests(CASE)}
    environment = documents["Environment"]
    named = {"environmentRef": {"name": environment["metadata"]["name"]}}
    environment["spec"].update(restricted=restricted, default=default)
    for kind, names_it in (("McpRegistryEntry", by_entry), ("McpInstallation", by_installation)):
        documents[kind]["spec"].pop("environmentRef", None)
        documents[kind]["spec"].update(named if names_it else {})
    world = installation_world(list(documents.values()))
    assert world.installation is not None
    return installation_problem(world, world.installation)


@pytest.mark.requirement("ENV-2")
@pytest.mark.parametrize(("default", "by_entry"), [(True, False), (False, True), (True, True)])
def test_an_installation_comes_into_a_restricted_environment_only_by_naming_it(default: bool, by_entry: bool) -> None:
    refused = problem(restricted=True, default=default, by_entry=by_entry, by_installation=False)

    assert refused is not None
    assert refused.reason == c.ENVIRONMENT_NOT_NAMED
    assert "name it in spec.environmentRef, which takes the verb deploy-to-restricted on environments.wharfinger.dev/" in refused.message
    assert problem(restricted=True, default=default, by_entry=by_entry, by_installation=True) is None
    assert problem(restricted=False, default=default, by_entry=by_entry, by_installation=False) is None


def status(*, restricted: bool, checked: bool) -> dict[str, tuple[str, str]]:
    spec = {"title": "X", "restricted": restricted, "egress": {"mode": "DenyAll"}}
    environment = Environment.parse({"metadata": {"name": "x", "generation": 1}, "spec": spec})
    found = environment_status(EnvironmentWorld(environment, (), (), SETTINGS, closed=True, assignments_checked=checked), NOW)
    return {one.type: (one.status, one.reason) for one in found.conditions}


@pytest.mark.requirement("ENV-2")
def test_a_restricted_environment_is_not_ready_where_nobody_checks_who_comes_in() -> None:
    unchecked = status(restricted=True, checked=False)

    assert unchecked[c.RESTRICTION_ENFORCED] == ("False", c.ADMISSION_MISSING)
    assert unchecked[c.READY] == ("False", c.ADMISSION_MISSING)
    assert unchecked[c.ACCEPTED] == ("True", c.SUCCEEDED)
    assert status(restricted=True, checked=True)[c.RESTRICTION_ENFORCED] == ("True", c.SUCCEEDED)
    assert status(restricted=True, checked=True)[c.READY] == ("True", c.SUCCEEDED)
    assert c.RESTRICTION_ENFORCED not in status(restricted=False, checked=False)


@pytest.mark.requirement("ENV-2")
@pytest.mark.parametrize("weaken", WEAKER)
def test_a_policy_that_was_weakened_is_not_in_force(weaken: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    policy, binding = copy.deepcopy(POLICY), copy.deepcopy(BINDING)
    assert is_in_force(policy, binding)
    assert not is_in_force(policy, None)
    assert not is_in_force(None, binding)

    weaken(policy["spec"], binding["spec"])

    assert not is_in_force(policy, binding)
