"""Whether a caller may use a gateway at all."""

import pytest

from gateway_world import gateway, snapshot_of
from wharfinger_gateway.authorize import Permit, authorize
from wharfinger_gateway.principal import Principal
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.reply import refused_whole

ALICE = Principal("user", "okta:alice", frozenset({"engineering"}), "")
CAROL = Principal("user", "okta:carol", frozenset({"sales"}), "")
NOBODY = Principal("user", "okta:dave", frozenset(), "")
ENGINEERING = Principal("team", None, frozenset({"engineering"}), "")
SALES = Principal("team", None, frozenset({"sales"}), "")
ORGANIZATION = Principal("organization", None, frozenset(), "")

ORG, TEAM, PERSONAL = gateway("org"), gateway("team", teams=["engineering", "support"]), gateway("personal", owner="okta:alice")
SNAPSHOT = snapshot_of(ORG, TEAM, PERSONAL, gateway("shut", bearer=False))


@pytest.mark.requirement("GW-1", "GW-3")
@pytest.mark.parametrize(
    ("caller", "visible"),
    [
        (ALICE, {"org", "team", "personal"}),
        (CAROL, {"org"}),
        (NOBODY, {"org"}),
        (ENGINEERING, {"org", "team"}),
        (SALES, {"org"}),
        (ORGANIZATION, {"org"}),
    ],
    ids=["owner-and-member", "member-of-another-team", "no-team", "its-team", "another-team", "organization"],
)
def test_a_gateway_is_used_by_those_whom_its_visibility_names(caller: Principal, visible: set[str]) -> None:
    permitted = {name for name in ("org", "team", "personal", "shut") if isinstance(authorize(caller, f"dev.{name}", SNAPSHOT), Permit)}
    assert permitted == visible


@pytest.mark.requirement("GW-3")
def test_a_token_for_some_gateways_opens_no_other() -> None:
    bound = Principal("user", "okta:alice", frozenset({"engineering"}), "", frozenset({"dev.team"}))
    assert isinstance(authorize(bound, "dev.team", SNAPSHOT), Permit)
    assert authorize(bound, "dev.org", SNAPSHOT) == Refusal(Reason.TOKEN_OF_ANOTHER_GATEWAY, caller="user okta:alice")


@pytest.mark.requirement("GW-3")
def test_unknown_hidden_shut_and_foreign_gateways_are_one_answer() -> None:
    bound = Principal("organization", None, frozenset(), "", frozenset({"dev.other"}))
    refusals = [
        authorize(caller, gateway_id, SNAPSHOT)
        for caller, gateway_id in (
            (ALICE, "dev.none"),
            (CAROL, "dev.team"),
            (CAROL, "dev.personal"),
            (ALICE, "dev.shut"),
            (bound, "dev.org"),
        )
    ]
    assert {one.reason for one in refusals if isinstance(one, Refusal)} == {
        Reason.GATEWAY_UNKNOWN, Reason.GATEWAY_HIDDEN, Reason.DOOR_CLOSED, Reason.TOKEN_OF_ANOTHER_GATEWAY,
    }  # fmt: skip
    replies = {repr(refused_whole(one)) for one in refusals if isinstance(one, Refusal)}
    assert len(replies) == 1
