"""Whose child an object is, and what is kept of it."""

from typing import Any

import pytest

from wharfinger_crds import names
from wharfinger_operator import child_copy
from wharfinger_operator.child_copy import closes, ids, is_stranger, owner, packed_child, packed_pod, rolls, unpacked
from wharfinger_operator.diff import APPLIED

ID = names.installation_id("team-a", "jira")
LABELS = {names.MANAGED_BY: names.MANAGER, names.INSTALLATION_NAMESPACE: "team-a", names.INSTALLATION_NAME: "jira"}


def child(name: str = names.server_name("team-a", "jira"), kind: str = "Service", **metadata: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "servers", "uid": "u", "resourceVersion": "1", **metadata},
        "spec": {"x": 1},
    }


def test_a_child_is_kept_whole_and_found_by_the_id_in_its_name() -> None:
    copy = packed_child(child(labels=LABELS))

    assert unpacked(copy) == child(labels=LABELS)
    assert ids(copy) == {ID}
    assert owner(copy) == ("team-a", "jira")
    assert not is_stranger(copy)


@pytest.mark.parametrize("name", [f"mcp-jira-{ID}", f"mcp-jira-{ID}-env", f"connection-{ID}"])
def test_every_name_of_a_child_holds_the_id(name: str) -> None:
    assert ids(packed_child(child(name, labels=LABELS))) == {ID}


@pytest.mark.requirement("ORC-9")
def test_a_child_without_its_labels_is_still_ours() -> None:
    copy = packed_child(child(annotations={APPLIED: "x"}))

    assert ids(copy) == {ID}
    assert owner(copy) is None
    assert not is_stranger(copy)


def test_labels_of_another_installation_do_not_make_it_the_others() -> None:
    copy = packed_child(child(labels={**LABELS, names.INSTALLATION_NAME: "other"}))

    assert ids(copy) == {ID}


def test_of_what_is_not_ours_only_the_name_is_kept() -> None:
    copy = packed_child({**child(kind="Secret"), "data": {"password": "planted"}})

    assert is_stranger(copy)
    assert "planted" not in repr(copy)
    assert ids(copy) == {ID}


def test_of_a_pod_only_what_tells_why_it_does_not_come_up_is_kept() -> None:
    status = {"phase": "Pending", "conditions": [], "podIP": "10.0.0.1"}
    copy = packed_pod({**child(f"mcp-jira-{ID}-5d9c-abcde", "Pod", labels=LABELS), "status": status})

    assert unpacked(copy)["status"] == {"conditions": [], "podIP": "10.0.0.1"}
    assert ids(copy) == {ID}


def test_a_deployment_on_its_way_is_known_without_unpacking_it() -> None:
    deployment = {**child(kind="Deployment", labels=LABELS, generation=2), "spec": {"replicas": 1}}

    assert rolls(packed_child(deployment))
    assert not rolls(packed_child({**deployment, "status": {"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 1}}))


def test_of_a_policy_of_others_only_its_name_and_whether_it_closes_the_namespace_is_kept() -> None:
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    closed = {**child("default-deny", "NetworkPolicy"), "spec": spec}
    opened = {**closed, "spec": {**spec, "egress": [{}]}}

    assert closes(packed_child(closed))
    assert not closes(packed_child(opened))
    assert is_stranger(packed_child(closed))


def test_what_children_of_a_kind_are_packed_against_holds_no_values() -> None:
    first = {**child(kind="Secret", labels=LABELS), "data": {"token": "planted"}}
    second = {**child("another", kind="Secret", labels=LABELS), "data": {"token": "other"}}
    copies = [packed_child(first), packed_child(second)]

    assert [unpacked(copy) for copy in copies] == [first, second]
    assert "planted" not in repr(copies)
    assert not any(b"planted" in packing._example for packing in child_copy._packings.values())
