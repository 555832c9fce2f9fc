"""What must be done, from what should be there and what is there."""

import copy
from pathlib import Path
from typing import Any

import pytest

from golden import manifests
from manifest_world import installation_world
from wharfinger_operator.child import Child
from wharfinger_operator.child_copy import child, packed_child
from wharfinger_operator.diff import Changes, diff, stamped
from wharfinger_operator.plan.installation import plan_installation

CASE = Path(__file__).parent / "plan/testdata/installation-http-secret.in.yaml"


def desired() -> tuple[dict[str, Any], ...]:
    objects = plan_installation(installation_world(manifests(CASE))).desired
    assert objects
    return objects


def live() -> list[dict[str, Any]]:
    """What the API server would hold: the same and more."""
    found = [copy.deepcopy(stamped(o)) for o in desired()]
    for o in found:
        o["metadata"].update(uid="u", resourceVersion="7", creationTimestamp="2026-01-01T00:00:00Z")
        if o["kind"] == "Deployment":
            o["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log"
            o["status"] = {"availableReplicas": 1}
    return found


def test_nothing_is_done_where_everything_is_there() -> None:
    changes = diff(desired(), live())

    assert changes.apply == ()
    assert changes.delete == ()


def test_what_is_missing_is_applied_in_the_order_of_the_plan() -> None:
    changes = diff(desired(), [])

    assert [o["kind"] for o in changes.apply] == [o["kind"] for o in desired()]


def test_an_edited_child_is_applied_again() -> None:
    found = live()
    deployment = next(o for o in found if o["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "evil:1"

    assert [o["kind"] for o in diff(desired(), found).apply] == ["Deployment"]


def test_a_list_that_grew_is_replaced_since_an_apply_would_leave_what_is_not_ours() -> None:
    found = live()
    deployment = next(o for o in found if o["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["volumes"].append({"name": "host", "hostPath": {"path": "/"}})

    assert [o["kind"] for o in diff(desired(), found).replace] == ["Deployment"], "applying would leave it there"


@pytest.mark.parametrize("change", [{"type": "kubernetes.io/dockercfg"}, {"immutable": True}], ids=lambda change: next(iter(change)))
def test_a_secret_that_the_api_server_lets_nobody_change_is_made_anew(change: dict[str, Any]) -> None:
    found = live()
    secret = next(o for o in found if o["kind"] == "Secret")
    secret.update(change)

    changes = diff(desired(), found)

    assert changes.remake == (secret,)
    assert [o["metadata"]["name"] for o in changes.apply] == [secret["metadata"]["name"]]
    assert changes.replace == ()


def test_a_field_that_was_taken_out_of_the_plan_is_noticed() -> None:
    wanted = [copy.deepcopy(o) for o in desired()]
    service = next(o for o in wanted if o["kind"] == "Service")
    del service["spec"]["type"]

    assert [o["kind"] for o in diff(wanted, live()).replace] == ["Service"]


def test_what_nobody_wants_goes_and_policies_go_last() -> None:
    kinds = [o["kind"] for o in diff((), live()).delete]

    assert kinds[0] == "Deployment"
    assert kinds[-1] == "NetworkPolicy"
    assert len(kinds) == len(live())


def test_a_plan_that_does_not_know_changes_nothing() -> None:
    assert diff(None, live()[:1]).apply == ()
    assert diff(None, live()).delete == ()


def test_what_is_being_deleted_is_neither_settled_nor_deleted_twice() -> None:
    found = live()
    found[0]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    assert [o["kind"] for o in diff(desired(), found).apply] == [found[0]["kind"]]
    assert len(diff((), found).delete) == len(found) - 1


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "template", "spec", "hostNetwork"), True),
        ("Deployment", ("spec", "template", "spec", "containers", 0, "securityContext", "privileged"), True),
        ("Deployment", ("spec", "template", "spec", "containers", 0, "envFrom"), [{"secretRef": {"name": "x"}}]),
        ("Deployment", ("spec", "paused"), True),
        ("Service", ("spec", "selector", "other"), "x"),
        ("Service", ("spec", "externalIPs"), ["192.0.2.1"]),
        ("Secret", ("data", "extra"), "eA=="),
    ],
)
def test_a_field_that_somebody_added_is_replaced_away(kind: str, path: tuple[str | int, ...], value: Any) -> None:
    found = live()
    node: Any = next(o for o in found if o["kind"] == kind)
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value

    changes = diff(desired(), found)

    assert [o["kind"] for o in changes.replace] == [kind]
    assert changes.replace[0]["metadata"]["resourceVersion"] == "7"
    assert changes.apply == ()


def test_an_open_egress_rule_that_somebody_added_is_replaced_away() -> None:
    closed = plan_installation(installation_world(manifests(CASE.with_name("installation-stdio.in.yaml")))).desired
    assert closed
    found = [copy.deepcopy(stamped(o)) for o in closed]
    for o in found:
        o["metadata"].update(resourceVersion="7")
    next(o for o in found if o["kind"] == "NetworkPolicy")["spec"]["egress"] = [{}]

    assert [o["kind"] for o in diff(closed, found).replace] == ["NetworkPolicy"]


@pytest.mark.parametrize(
    ("path", "value", "is_drift"),
    [
        (("terminationMessagePath",), "/dev/termination-log", False),
        (("terminationMessagePath",), "/elsewhere", True),
        (("imagePullPolicy",), "Always", True),
        (("readinessProbe", "successThreshold"), 1, False),
        (("readinessProbe", "successThreshold"), 2, True),
    ],
)
def test_a_default_of_the_api_server_counts_by_its_value_too(path: tuple[str, ...], value: Any, is_drift: bool) -> None:
    found = live()
    node: Any = next(o for o in found if o["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"][0]
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value

    changes = diff(desired(), found)

    assert bool(changes.apply or changes.replace) is is_drift


@pytest.mark.parametrize(("value", "is_drift"), [("1000m", False), (1, False), ("1001m", True), ("1k", True), (None, True)])
def test_quantities_are_compared_by_their_amount(value: Any, is_drift: bool) -> None:
    found = live()
    next(o for o in found if o["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = value

    assert bool(diff(desired(), found).apply) is is_drift


def test_what_was_found_as_it_should_be_is_not_compared_again() -> None:
    copies = [packed_child(o) for o in live()]
    first, second = ([child(copy) for copy in copies] for _ in range(2))

    assert diff(desired(), first) == Changes()
    assert diff(desired(), second) == Changes()
    assert not any(is_unpacked(found) for found in second)


def test_what_was_compared_counts_for_one_version_and_one_manifest() -> None:
    copies = {o["kind"]: packed_child(o) for o in live()}
    assert diff(desired(), map(child, copies.values())).replace == ()
    edited = next(o for o in live() if o["kind"] == "Deployment")
    edited["spec"]["replicas"] = 0
    copies["Deployment"] = packed_child(edited)
    wanted = [{**o, "metadata": {**o["metadata"], "labels": {}}} if o["kind"] == "Service" else o for o in desired()]

    changed = diff(wanted, map(child, copies.values())).apply
    assert {"Deployment", "Service"} == {o["kind"] for o in changed if o["kind"] in {"Deployment", "Service", "NetworkPolicy"}}


@pytest.mark.parametrize("what", ["missing", "added", "frozen", "going"])
def test_what_is_not_as_it_should_be_is_never_remembered_as_if_it_were(what: str) -> None:
    found = live()
    secret = next(o for o in found if o["kind"] == "Secret")
    match what:
        case "missing":
            secret["metadata"]["labels"] = {}
        case "added":
            secret["data"]["more"] = "eA=="
        case "frozen":
            secret["immutable"] = True
        case _:
            secret["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    copies = [packed_child(o) for o in found]

    for _ in range(2):
        changes = diff(desired(), [child(copy) for copy in copies])
        assert [o["metadata"]["name"] for o in (*changes.apply, *changes.replace)] == [secret["metadata"]["name"]]


def is_unpacked(found: Child) -> bool:
    return found._found is not None
