"""What rolls a running server, and what does not."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from golden import cases, manifests
from manifest_world import SETTINGS, answered, installation_world
from wharfinger_operator.diff import diff, stamped
from wharfinger_operator.plan.installation import plan_installation
from wharfinger_operator.world import InstallationWorld

HASHES = Path(__file__).parent / "testdata/pod-template-hashes.yaml"
STDIO = Path(__file__).parent / "testdata/installation-stdio.in.yaml"
NEW_BRIDGE = SETTINGS.model_copy(update={"images": SETTINGS.images.model_copy(update={"bridge": "registry.acme.dev/wharfinger:2"})})


def running() -> tuple[InstallationWorld, list[dict[str, Any]]]:
    """A world whose desired objects are all there."""
    world = installation_world(manifests(STDIO))
    live = [stamped(o) for o in plan_installation(world).desired or ()]
    for o in live:
        o["metadata"] = {**o["metadata"], "uid": "u", "resourceVersion": "1"}
    return replace(world, owned=tuple(live)), live


def bridge_of(desired: Any) -> str:
    (deployment,) = (o for o in desired or () if o["kind"] == "Deployment")
    return str(deployment["spec"]["template"]["spec"]["initContainers"][0]["image"])


def template_hashes() -> dict[str, str]:
    found = {}
    for case in cases(__file__):
        for o in plan_installation(answered(installation_world(manifests(case)))).desired or ():
            if o["kind"] == "Deployment":
                rolled = json.dumps([o["spec"]["template"], o["spec"]["selector"]], sort_keys=True)
                found[case.name.removesuffix(".in.yaml")] = hashlib.sha256(rolled.encode()).hexdigest()[:16]
    return found


@pytest.mark.requirement("OPS-9")
def test_this_version_does_not_roll_the_servers_of_the_one_before() -> None:
    """A line of the file is changed by hand, in a version that means to roll every running server; new cases are added to it."""
    assert template_hashes() == yaml.safe_load(HASHES.read_text())


@pytest.mark.requirement("OPS-9")
def test_another_bridge_alone_changes_nothing_about_a_running_server() -> None:
    world, live = running()

    plan = plan_installation(replace(world, settings=NEW_BRIDGE))

    assert bridge_of(plan.desired) == SETTINGS.images.bridge
    changes = diff(plan.desired, live)
    assert (changes.apply, changes.replace, changes.delete) == ((), (), ())


@pytest.mark.requirement("OPS-9")
def test_a_server_that_changes_anyway_gets_the_new_bridge() -> None:
    world, _ = running()
    assert world.entry
    assert world.entry.spec.self_hosted
    hosted = world.entry.spec.self_hosted.model_copy(update={"args": ("--changed",)})
    entry = world.entry.model_copy(update={"spec": world.entry.spec.model_copy(update={"self_hosted": hosted})})

    assert bridge_of(plan_installation(replace(world, entry=entry, settings=NEW_BRIDGE)).desired) == NEW_BRIDGE.images.bridge


def test_a_bridge_that_somebody_put_there_is_not_kept() -> None:
    world, live = running()
    deployment = next(o for o in live if o["kind"] == "Deployment")
    edited = json.loads(json.dumps(deployment))
    edited["spec"]["template"]["spec"]["initContainers"][0]["image"] = "evil:1"
    owned = tuple(edited if o is deployment else o for o in live)

    assert bridge_of(plan_installation(replace(world, owned=owned)).desired) == SETTINGS.images.bridge
    assert [o["kind"] for o in diff(plan_installation(replace(world, owned=owned)).desired, owned).apply] == ["Deployment"]


@pytest.mark.requirement("OPS-9")
def test_a_restored_installation_takes_its_children_over_and_deletes_none() -> None:
    """A restore gives every object another uid; the root key and the children may come back with it."""
    world, live = running()
    assert world.installation
    restored = world.installation.model_copy(update={"metadata": world.installation.metadata.model_copy(update={"uid": "another"})})

    changes = diff(plan_installation(replace(world, installation=restored)).desired, live)

    assert changes.delete == ()
    assert {o["metadata"]["name"] for o in (*changes.apply, *changes.replace)} == {o["metadata"]["name"] for o in live}
