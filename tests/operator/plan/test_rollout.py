"""Whose turn it is when an entry was edited."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from golden import manifests
from manifest_world import NOW, installation_world
from wharfinger_crds import conditions as c
from wharfinger_operator.diff import stamped
from wharfinger_operator.plan.installation import plan_installation
from wharfinger_operator.plan.rollout import AT_ONCE, is_rolling, limit
from wharfinger_operator.status import installation_status
from wharfinger_operator.world import InstallationWorld

STDIO = Path(__file__).parent / "testdata/installation-stdio.in.yaml"
AVAILABLE = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}


def edited(rolling: int, *, status: dict[str, Any] | None = None, args: tuple[str, ...] = ("--changed",)) -> InstallationWorld:
    """A running server whose entry was edited while so many others roll."""
    world = installation_world(manifests(STDIO))
    live = [stamped(o) for o in plan_installation(world).desired or ()]
    for o in live:
        o["metadata"] = {**o["metadata"], "uid": "u", "resourceVersion": "1", "generation": 1}
        if o["kind"] == "Deployment":
            o["status"] = status or AVAILABLE
    assert world.entry
    assert world.installation
    assert world.entry.spec.self_hosted
    hosted = world.entry.spec.self_hosted.model_copy(update={"args": args})
    spec = world.entry.spec.model_copy(update={"self_hosted": hosted})
    entry = world.entry.model_copy(update={"spec": spec, "metadata": world.entry.metadata.model_copy(update={"generation": 2})})
    reported = world.installation.model_copy(update={"status": world.installation.status.model_copy(update={"entry_generation": 1})})
    return replace(world, installation=reported, entry=entry, owned=tuple(live), siblings=8, rolling=rolling)


@pytest.mark.requirement("REG-9")
def test_an_edit_rolls_as_many_servers_as_may_roll_at_once() -> None:
    assert not plan_installation(edited(AT_ONCE - 1)).waits
    assert plan_installation(edited(AT_ONCE)).waits
    assert (limit(8), limit(2000)) == (AT_ONCE, 200)


@pytest.mark.requirement("REG-9")
def test_a_server_that_waits_serves_on_and_says_what_it_waits_for() -> None:
    world = edited(AT_ONCE)
    status = installation_status(world, plan_installation(world), NOW)

    assert status is not None
    workload = status.condition(c.WORKLOAD_AVAILABLE)
    assert workload is not None
    assert (workload.status, workload.reason) == ("True", c.PROGRESSING)
    assert "in its turn" in workload.message
    assert status.entry_generation == 1


def test_an_edit_that_does_not_roll_pods_waits_for_nobody() -> None:
    world = edited(AT_ONCE)
    before = installation_world(manifests(STDIO)).entry
    assert before
    assert before.spec.self_hosted

    assert not plan_installation(edited(AT_ONCE, args=before.spec.self_hosted.args)).waits
    assert plan_installation(world).waits


def test_a_server_that_does_not_serve_needs_no_turn() -> None:
    assert not plan_installation(edited(AT_ONCE, status={"observedGeneration": 1, "replicas": 1, "unavailableReplicas": 1})).waits


@pytest.mark.parametrize(
    ("status", "rolling"),
    [
        ({}, True),
        ({"observedGeneration": 1}, True),
        (AVAILABLE | {"observedGeneration": 2}, False),
        (AVAILABLE | {"observedGeneration": 2, "updatedReplicas": 0}, True),
        (AVAILABLE | {"observedGeneration": 2, "unavailableReplicas": 1}, True),
        ({"observedGeneration": 2, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}, False),
        ({"observedGeneration": 1, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}, True),
    ],
)
def test_a_deployment_rolls_until_it_is_available_or_has_failed(status: dict[str, Any], rolling: bool) -> None:
    assert is_rolling({"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": status}) is rolling
