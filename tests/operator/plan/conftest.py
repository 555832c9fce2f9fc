"""A server that is up, in one of three environments."""

from dataclasses import replace
from pathlib import Path

import pytest

from golden import manifests
from manifest_world import installation_world
from move_scene import NEW, OLD, THIRD, MoveScene, environment

STDIO = Path(__file__).parent / "testdata/installation-stdio.in.yaml"


@pytest.fixture
def scene() -> MoveScene:
    world = installation_world(manifests(STDIO))
    assert world.entry
    spaces = world.settings.namespaces.model_copy(update={"servers": (OLD, NEW, THIRD)})
    entry = world.entry.model_copy(update={"spec": world.entry.spec.model_copy(update={"allowed_environments": ("old", "new", "third")})})
    environments = {"old": environment("old", OLD), "new": environment("new", NEW), "third": environment("third", THIRD)}
    world = replace(world, settings=world.settings.model_copy(update={"namespaces": spaces}), entry=entry, environments=environments)
    made = MoveScene(world)
    made.move("old")
    made.look()
    made.up(OLD)
    made.asked()
    made.look()
    return made
