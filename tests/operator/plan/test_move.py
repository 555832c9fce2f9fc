"""A server that changes its namespace: which one is called, what is kept, what is deleted, what is said."""

from dataclasses import replace

import pytest

from manifest_world import NOW
from move_scene import NEW, OLD, THIRD, MoveScene, environment
from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.environment import AllowedNamespaces
from wharfinger_crds.installation import InstallationStatus
from wharfinger_operator.diff import Changes, diff
from wharfinger_operator.plan.installation import fingerprint, plan_installation
from wharfinger_operator.plan.move import plan_move
from wharfinger_operator.world import PodFact

pytestmark = pytest.mark.requirement("INS-7")


def test_the_old_server_is_called_and_kept_until_the_new_one_is_up_and_was_asked(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    assert (scene.places(), scene.called()) == ({OLD, NEW}, OLD)
    workload = scene.says(c.WORKLOAD_AVAILABLE)
    assert workload[:2] == ("True", c.PROGRESSING)
    assert f"moves to namespace {NEW}" in workload[2]
    assert f"the one in namespace {OLD} serves" in workload[2]
    assert (scene.status.environment, scene.status.workload and scene.status.workload.namespace) == ("old", OLD)
    assert scene.look() == Changes()

    scene.up(NEW)
    scene.look()
    assert (scene.places(), scene.called()) == ({OLD, NEW}, NEW)
    assert (scene.status.environment, scene.status.workload and scene.status.workload.namespace) == ("new", NEW)
    assert scene.look() == Changes()

    scene.asked()
    scene.look()
    assert (scene.places(), scene.places("NetworkPolicy"), scene.places("Service"), scene.called()) == ({NEW}, {NEW}, {NEW}, NEW)
    assert scene.look() == Changes()


def test_while_a_ready_server_moves_it_is_ready_and_reconciling(scene: MoveScene) -> None:
    conditions = c.merged(scene.status.conditions, (c.true(c.DISCOVERED),), 1, NOW)
    assert scene.world.installation
    known = scene.status.model_copy(update={"conditions": conditions})
    scene.world = replace(scene.world, installation=scene.world.installation.model_copy(update={"status": known}), discovery=None)
    scene.move("new")
    scene.look()

    assert scene.says(c.READY)[0] == "True"
    assert scene.says(c.RECONCILING)[:2] == ("True", c.PROGRESSING)
    assert scene.status.phase == "Restarting"


def test_discovery_asks_the_old_server_until_the_move(scene: MoveScene) -> None:
    before = scene.world.discovery
    scene.move("new")
    scene.look()

    assert before
    assert scene.plan
    assert scene.plan.connection
    assert fingerprint(scene.plan.connection, 1) == before.fingerprint


def test_the_old_server_is_fenced_as_its_environment_says_now(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    wider = environment("old", OLD, egress={"mode": "Restricted", "cidrs": [{"cidr": "203.0.113.0/24"}]})
    scene.world = replace(scene.world, environments={**scene.world.environments, "old": wider})
    scene.look()
    policies = {where: o["spec"] for (kind, where, _), o in scene.live.items() if kind == "NetworkPolicy"}
    assert "egress" in policies[OLD]
    assert "egress" not in policies[NEW]

    del scene.live["NetworkPolicy", OLD, names.server_name(scene.world.namespace, scene.world.name)]
    del scene.live["Service", OLD, names.server_name(scene.world.namespace, scene.world.name)]
    assert [(o["kind"], o["metadata"]["namespace"]) for o in scene.look().apply] == [("NetworkPolicy", OLD), ("Service", OLD)]


def test_a_new_server_that_does_not_come_up_is_named_and_the_old_one_serves(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    scene.world = replace(scene.world, pods=(PodFact("old-1", namespace=OLD), PodFact("new-1", c.CRASHED, "exit code 3", NEW)))
    scene.look()

    assert "exit code 3" in scene.says(c.WORKLOAD_AVAILABLE)[2]
    assert (scene.says(c.WORKLOAD_AVAILABLE)[0], scene.called()) == ("True", OLD)


def test_where_neither_serves_the_condition_says_what_the_new_one_lacks(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    scene.up(OLD, 0)
    scene.world = replace(
        scene.world, pods=(PodFact("old-1", c.CRASHED, "exit code 1", OLD), PodFact("new-1", c.CRASHED, "exit code 3", NEW))
    )
    scene.look()

    assert scene.says(c.WORKLOAD_AVAILABLE) == ("False", c.CRASHED, "exit code 3")


def test_a_part_of_the_new_server_is_called_where_nothing_of_the_old_one_serves(scene: MoveScene) -> None:
    assert scene.world.entry
    assert scene.world.entry.spec.self_hosted
    hosted = scene.world.entry.spec.self_hosted.model_copy(update={"replicas": 2})
    spec = scene.world.entry.spec.model_copy(update={"self_hosted": hosted})
    scene.world = replace(scene.world, entry=scene.world.entry.model_copy(update={"spec": spec}))
    scene.move("new")
    scene.look()
    scene.up(NEW)
    scene.look()
    assert scene.called() == OLD

    scene.up(OLD, 0)
    scene.look()
    assert scene.called() == NEW


def test_a_second_move_in_the_middle_keeps_the_one_that_serves_and_drops_the_one_that_never_did(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    scene.move("third")
    # A moment's weakness of the one that serves makes no other one of it.
    scene.up(OLD, 0)
    scene.look()
    assert (scene.places(), scene.called()) == ({OLD, THIRD}, OLD)

    scene.up(THIRD)
    scene.look()
    scene.asked()
    scene.look()
    assert (scene.places(), scene.called()) == ({THIRD}, THIRD)


def test_a_way_back_in_the_middle_never_leaves_the_server_that_serves(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    scene.move("old")
    scene.look()

    assert (scene.places(), scene.called()) == ({OLD}, OLD)
    assert scene.status.environment == "old"


def test_a_suspension_in_the_middle_takes_the_old_server_away_at_once(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    scene.edit(suspend=True)
    scene.look()

    assert scene.places() == {NEW}
    assert scene.says(c.WORKLOAD_AVAILABLE)[:2] == ("False", c.SUSPENDED)


def test_a_suspended_server_moves_at_once(scene: MoveScene) -> None:
    scene.edit(suspend=True)
    scene.look()
    scene.edit(suspend=False)
    scene.move("new")
    scene.look()

    assert (scene.places(), scene.called()) == ({NEW}, NEW)


@pytest.mark.parametrize("gone", ["grants", "allowed namespaces of the new one"])
def test_the_end_of_a_right_in_the_middle_takes_both_servers_away(scene: MoveScene, gone: str) -> None:
    scene.move("new")
    scene.look()
    closed = environment("new", NEW, allowedNamespaces={"names": ["others"]})
    environments = {**scene.world.environments, "new": closed}
    scene.world = replace(scene.world, grants=None) if gone == "grants" else replace(scene.world, environments=environments)
    scene.look()

    assert scene.live == {}


def test_an_environment_that_no_longer_allows_the_namespace_loses_the_old_server_at_once(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    closed = environment("old", OLD).spec.model_copy(update={"allowed_namespaces": AllowedNamespaces(names=("others",))})
    old = scene.world.environments["old"].model_copy(update={"spec": closed})
    scene.world = replace(scene.world, environments={**scene.world.environments, "old": old})
    scene.look()

    assert (scene.places(), scene.called()) == ({NEW}, NEW)


def test_an_old_environment_that_is_deleted_in_the_middle_ends_no_server_and_leaves_it_fenced(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    scene.world = replace(scene.world, environments={k: v for k, v in scene.world.environments.items() if k != "old"})
    scene.look()

    assert (scene.places(), scene.places("NetworkPolicy"), scene.called()) == ({OLD, NEW}, {OLD, NEW}, OLD)


def test_an_environment_that_names_another_namespace_moves_its_servers_as_well(scene: MoveScene) -> None:
    scene.world = replace(scene.world, environments={**scene.world.environments, "old": environment("old", NEW)})
    scene.look()

    assert (scene.places(), scene.called(), scene.status.environment) == ({OLD, NEW}, OLD, "old")


def test_calls_in_flight_keep_service_and_policy_until_their_pod_is_gone(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    scene.up(NEW)
    scene.look()
    scene.asked()
    scene.world = replace(scene.world, pods=(PodFact("old-1", namespace=OLD), PodFact("new-1", namespace=NEW)))
    scene.look()
    assert (scene.places(), scene.places("Service"), scene.places("NetworkPolicy")) == ({NEW}, {OLD, NEW}, {OLD, NEW})

    scene.world = replace(scene.world, pods=(PodFact("new-1", namespace=NEW),))
    scene.look()
    assert {where for _, where, _ in scene.live} == {NEW, "wharfinger-system"}


def test_a_connection_that_somebody_broke_in_the_middle_calls_the_old_server_again(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    key = ("Secret", "wharfinger-system", names.connection_name(scene.world.namespace, scene.world.name))
    before = scene.live.pop(key)
    scene.look()

    assert scene.live[key]["data"] == before["data"]


def test_a_status_that_is_lost_in_the_middle_changes_nothing(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    assert scene.world.installation
    scene.world = replace(scene.world, installation=scene.world.installation.model_copy(update={"status": InstallationStatus()}))
    scene.look()

    assert (scene.places(), scene.called()) == ({OLD, NEW}, OLD)


def test_an_edit_of_an_entry_that_moves_its_servers_moves_them_a_few_at_a_time_and_leaves_them_fenced(scene: MoveScene) -> None:
    assert scene.world.entry
    later = scene.world.entry.metadata.model_copy(update={"generation": 2})
    scene.world = replace(scene.world, entry=scene.world.entry.model_copy(update={"metadata": later}), siblings=8, rolling=3)
    scene.move("new")
    scene.look()
    assert scene.plan
    assert scene.plan.waits
    assert (scene.places(), scene.called()) == ({OLD}, OLD)
    assert OLD in scene.places("NetworkPolicy")

    scene.world = replace(scene.world, rolling=2)
    scene.look()
    assert (scene.places(), scene.called()) == ({OLD, NEW}, OLD)


def test_a_server_that_moves_gets_the_bridge_of_today(scene: MoveScene) -> None:
    images = scene.world.settings.images.model_copy(update={"bridge": "registry.acme.dev/wharfinger:2"})
    scene.world = replace(scene.world, settings=scene.world.settings.model_copy(update={"images": images}))
    scene.move("new")
    scene.look()
    bridges = {w: o["spec"]["template"]["spec"]["initContainers"][0]["image"] for (k, w, _), o in scene.live.items() if k == "Deployment"}

    assert bridges == {OLD: "registry.acme.dev/wharfinger:1", NEW: "registry.acme.dev/wharfinger:2"}
    assert scene.look() == Changes()


def test_nothing_of_a_move_is_left_of_an_installation_that_is_deleted(scene: MoveScene) -> None:
    scene.move("new")
    scene.look()
    scene.world = replace(scene.world, installation=None)
    plan = plan_move(scene.world, plan_installation(scene.world))

    assert {o["metadata"]["name"] for o in diff(plan.desired, scene.live.values(), spares=plan.spares).delete} == {
        n for _, _, n in scene.live
    }
