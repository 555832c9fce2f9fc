"""What is remembered of the API server's answers, and what is not."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from golden import manifests
from manifest_world import installation_world
from wharfinger_operator.admission import Admission
from wharfinger_operator.diff import diff, stamped
from wharfinger_operator.plan.installation import plan_installation

CASE = Path(__file__).parent / "plan/testdata/installation-override.in.yaml"
Change = Callable[[dict[str, Any]], object]


def deployment() -> dict[str, Any]:
    return next(o for o in plan_installation(installation_world(manifests(CASE))).desired or () if o["kind"] == "Deployment")


def answer(change: Change = lambda pod: None) -> dict[str, Any]:
    found = copy.deepcopy(stamped(deployment()))
    found["metadata"]["resourceVersion"] = "7"
    change(found["spec"]["template"]["spec"])
    return found


def writes(admission: Admission, live: dict[str, Any], desired: dict[str, Any] | None = None) -> int:
    changes = diff([desired or deployment()], [live], answers=admission.answers)
    return len(changes.apply) + len(changes.replace)


INJECT: Change = lambda pod: pod["containers"].append({"name": "mesh", "image": "x"})  # noqa: E731 - a table of changes
RAISE: Change = lambda pod: pod["containers"][0]["resources"]["requests"].update(cpu="500m")  # noqa: E731


@pytest.mark.requirement("ORC-9")
@pytest.mark.parametrize(
    ("change", "replaced", "path"), [(INJECT, True, "containers[2]"), (RAISE, True, "requests.cpu"), (RAISE, False, "requests.cpu")]
)
def test_what_came_back_from_a_write_is_left_and_said(change: Change, replaced: bool, path: str) -> None:
    admission, live = Admission(), answer(change)
    assert writes(admission, live) == 1

    admission.learn(stamped(deployment()), live, replaced=replaced)

    assert writes(admission, live) == 0
    finding = admission.finding([deployment()], [live])
    assert finding is not None
    assert (finding.status, finding.reason) == ("True", "ChangedByAdmission")
    assert path in finding.message


@pytest.mark.requirement("ORC-9")
def test_an_applied_object_with_additions_is_replaced_first_since_a_person_may_have_made_them() -> None:
    admission, live = Admission(), answer(INJECT)

    admission.learn(stamped(deployment()), live, replaced=False)

    assert writes(admission, live) == 1


@pytest.mark.requirement("ORC-9")
@pytest.mark.parametrize("later", [
    lambda live: live["spec"]["template"]["spec"].update(hostNetwork=True),
    lambda live: live["spec"].update(replicas=0),
    lambda live: live["metadata"]["labels"].pop("wharfinger.dev/installation-uid"),
])  # fmt: skip
def test_what_somebody_changes_later_is_repaired(later: Callable[[dict[str, Any]], object]) -> None:
    admission, live = Admission(), answer(INJECT)
    admission.learn(stamped(deployment()), live, replaced=True)

    later(live)

    assert writes(admission, live) == 1
    assert admission.finding([deployment()], [live]) is None


@pytest.mark.requirement("ORC-9")
def test_a_new_plan_is_written() -> None:
    admission, live = Admission(), answer(INJECT)
    admission.learn(stamped(deployment()), live, replaced=True)
    wanted = copy.deepcopy(deployment())
    wanted["spec"]["minReadySeconds"] = 9

    assert writes(admission, live, wanted) == 1


def test_a_write_that_came_back_as_it_was_written_teaches_nothing() -> None:
    admission = Admission()
    admission.learn(
        {**stamped(deployment()), "metadata": {**stamped(deployment())["metadata"], "resourceVersion": "6"}}, answer(), replaced=True
    )

    assert admission.answers == {}
