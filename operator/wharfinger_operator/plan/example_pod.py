"""The pod that an entry would have by itself, to judge it before anybody installs it."""

from __future__ import annotations

from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds.registry_entry import SelfHosted
from wharfinger_operator.plan.fields import FieldValues
from wharfinger_operator.plan.hardening import hardening_problem, subject_of
from wharfinger_operator.plan.identity import Identity
from wharfinger_operator.plan.inputs import Inputs
from wharfinger_operator.plan.workload import Server, workload

_NOBODY: Final = Identity("example", "example", "example", "example")
_IMAGE: Final = "example"


def example_problem(hosted: SelfHosted) -> c.Finding | None:
    """Return which rule of hardening every pod of the entry would break (Accepted=False), or None."""
    server = Server(
        identity=_NOBODY,
        declared=hosted.model_copy(update={"command": hosted.command or (_IMAGE,)}),
        inputs=Inputs(FieldValues({}, frozenset())),
        image=_IMAGE,
        bridge_image=_IMAGE,
        bridge_token="",
        restarted_at=None,
        suspended=False,
        root_key=b"",
    )
    return hardening_problem(subject_of(_NOBODY, workload(server)))
