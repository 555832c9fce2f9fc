"""A server that moves between environments of which one requires that its egress rules are enforced."""

from dataclasses import replace

import pytest

from manifest_world import NOW
from move_scene import NEW, OLD, MoveScene, environment
from wharfinger_crds import conditions as c
from wharfinger_crds.environment import Environment
from wharfinger_operator.diff import Changes

pytestmark = pytest.mark.requirement("INS-7", "ENV-6")


def test_a_server_that_its_new_environment_holds_back_is_called_where_it_was_until_that_shows_that_it_is_enforced(scene: MoveScene) -> None:
    required = {"mode": "DenyAll", "enforcement": "Require"}
    scene.world = replace(scene.world, environments={**scene.world.environments, "new": environment("new", NEW, egress=required)})
    scene.move("new")
    scene.look()

    assert scene.called() == OLD
    assert {where: o["spec"]["replicas"] for (kind, where, _), o in scene.live.items() if kind == "Deployment"} == {OLD: 1, NEW: 0}
    workload = scene.says(c.WORKLOAD_AVAILABLE)
    assert workload[:2] == ("True", c.PROGRESSING)
    assert "waits for EgressEnforced of Environment new" in workload[2]
    assert scene.look() == Changes()

    scene.world = replace(scene.world, environments={**scene.world.environments, "new": judged("new", NEW, "True")})
    scene.look()
    scene.up(NEW)
    scene.look()

    assert scene.called() == NEW


def test_a_server_does_not_stay_in_an_environment_that_turns_out_not_to_enforce_what_it_requires(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    assert scene.called() == OLD

    unenforced = judged("old", OLD, "False")
    scene.world = replace(scene.world, environments={**scene.world.environments, "old": unenforced})
    scene.look()

    assert (scene.places(), scene.called()) == ({NEW}, NEW)


def judged(name: str, namespace: str, value: str) -> Environment:
    """An environment that requires enforcement, and what is known of it."""
    made = environment(name, namespace, egress={"mode": "DenyAll", "enforcement": "Require"})
    said = {"status": value, "reason": "X", "message": "", "lastTransitionTime": NOW, "observedGeneration": 1}
    conditions = [{"type": c.EGRESS_ENFORCED, **said}, {"type": c.DOMAIN_RULES_ENFORCED, **said, "status": "True"}]
    return made.model_copy(update={"status": made.status.model_validate({"observedGeneration": 1, "conditions": conditions})})
