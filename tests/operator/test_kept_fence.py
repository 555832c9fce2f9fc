"""A server that goes on with what it has follows the rules of its environment all the same."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from golden import manifests
from manifest_world import answered, installation_world, readable
from own_address import rules
from wharfinger_crds import names
from wharfinger_crds.environment import Environment
from wharfinger_operator.diff import Changes, diff
from wharfinger_operator.plan.installation import plan_installation
from wharfinger_operator.reconcile import fenced
from wharfinger_operator.world import InstallationWorld

CASES = Path(__file__).parent / "plan/testdata"


def running(case: str) -> InstallationWorld:
    """Return the world of an installation whose server is as it should be."""
    world = answered(installation_world(manifests(CASES / f"{case}.in.yaml")))
    return replace(world, owned=applied(world))


def applied(world: InstallationWorld) -> tuple[dict[str, Any], ...]:
    """Return everything as it is once it was applied."""
    changes = diff(*fenced(plan_installation(world), world))
    new = {(o["kind"], o["metadata"]["name"]): {**o, "metadata": {**o["metadata"], "resourceVersion": "1"}} for o in changes.apply}
    return tuple({**{(o["kind"], o["metadata"]["name"]): dict(o) for o in world.owned}, **new}.values())


def with_egress(world: InstallationWorld, **egress: Any) -> InstallationWorld:
    changed = {
        name: Environment.parse({"metadata": {"name": name}, "spec": {**e.spec.manifest(), "egress": egress}})
        for name, e in world.environments.items()
    }
    return replace(world, environments=changed)


@pytest.mark.requirement("ENV-8")
def test_a_remote_server_whose_secret_is_gone_gets_tighter_rules_and_nothing_else() -> None:
    world = replace(with_egress(running("installation-remote"), mode="DenyAll"), secrets={})
    plan = plan_installation(world)

    (found,) = diff(*fenced(plan, world)).apply
    before = next(o for o in world.owned if o["kind"] == "Secret" and o["metadata"]["name"] == found["metadata"]["name"])
    was, now = (json.loads(readable(dict(o))["stringData"][names.CONNECTION_KEY]) for o in (before, found))

    assert (plan.desired, plan.values and plan.values.reason) == (None, "SecretMissing")
    assert now.pop("egress") == rules(mode="DenyAll").model_dump(mode="json", by_alias=True)
    del was["egress"]
    assert now == was
    assert diff(*fenced(plan, replace(world, owned=applied(world)))) == Changes()


@pytest.mark.requirement("ENV-4")
def test_a_server_of_ours_whose_secret_is_gone_gets_tighter_policies_and_nothing_else() -> None:
    world = running("installation-http-secret")
    world = replace(with_egress(world, mode="DenyAll"), secrets={})
    plan = plan_installation(world)

    changes = diff(*fenced(plan, world))

    assert plan.desired is None
    (policy,) = (*changes.apply, *changes.replace)
    assert (policy["kind"], "egress" in policy["spec"]) == ("NetworkPolicy", False)
    assert (changes.delete, changes.remake) == ((), ())


def test_where_nothing_is_there_or_the_environment_is_gone_nothing_is_made() -> None:
    world = replace(running("installation-remote"), secrets={})

    for other in (replace(world, owned=()), replace(world, environments={})):
        assert plan_installation(other).fence == ()
        assert diff(*fenced(plan_installation(other), other)) == Changes()
