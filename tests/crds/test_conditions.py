"""Conditions of a new look beside those of the last one."""

import pytest

from wharfinger_crds import conditions as c
from wharfinger_crds.base import Condition

BEFORE, NOW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"

pytestmark = pytest.mark.requirement("ORC-9")


def before(status: str = "True", reason: str = "Succeeded", message: str = "", generation: int = 1) -> Condition:
    return Condition(
        type=c.ACCEPTED, status=status, reason=reason, message=message, last_transition_time=BEFORE, observed_generation=generation
    )


def test_what_says_what_it_said_is_the_same_object() -> None:
    known = before()
    (found,) = c.merged((known,), (c.true(c.ACCEPTED),), 1, NOW)
    assert found is known


@pytest.mark.parametrize(
    ("known", "generation", "time"),
    [
        (before(reason="Progressing"), 1, BEFORE),
        (before(message="other"), 1, BEFORE),
        (before(generation=1), 2, BEFORE),
        (before(status="False"), 1, NOW),
    ],
)
def test_a_condition_that_changed_has_a_new_time_only_where_its_status_flips(known: Condition, generation: int, time: str) -> None:
    (found,) = c.merged((known,), (c.true(c.ACCEPTED),), generation, NOW)
    assert (found.status, found.reason, found.message) == ("True", c.SUCCEEDED, "")
    assert (found.last_transition_time, found.observed_generation) == (time, generation)


def test_what_no_finding_names_is_dropped_and_a_new_one_begins_now() -> None:
    (found,) = c.merged((before(),), (c.false(c.READY, c.PROGRESSING, "x" * 40000),), 1, NOW)
    assert (found.type, found.last_transition_time, len(found.message)) == (c.READY, NOW, c.MESSAGE_LIMIT)
