"""Which installation serves a caller: the whole table of GW-6, and its ties.

Installations are written as the caller's relation to them. The caller is okta:bob, of engineering and sales, or a token.
"""

from typing import Any

import pytest

from gateway_world import PUBLIC_URL, by_entry, entry, environment, flat, gateway, installation, namespace, pinned, settings, snapshot_of
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.principal import Principal
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.resolve import Choice, resolve
from wharfinger_gateway.snapshot import Snapshot

BOB = Principal("user", "okta:bob", frozenset({"engineering", "sales"}), "")
ENGINEERING = Principal("team", None, frozenset({"engineering"}), "")
ORGANIZATION = Principal("organization", None, frozenset(), "")

OWN = installation("own", user="okta:bob")
TEAM = installation("team", team="engineering")
OTHER_TEAM = installation("other-team", team="sales")
FOREIGN_TEAM = installation("foreign-team", team="support")
SHARED = installation("shared", user="okta:alice", shared_with=["engineering"])
UNSHARED = installation("unshared", user="okta:alice")
SHARED_ELSEWHERE = installation("shared-elsewhere", user="okta:alice", shared_with=["support"])
PUSHED = installation("pushed", user="okta:dave", shared_with=["engineering"])  # dave is not in engineering
LENT = installation("lent", user="okta:alice", through_gateways=True)
LINK = f"{PUBLIC_URL}/install/github"


def outcome(snapshot: Snapshot, caller: Principal, gateway_id: str = "dev.tools") -> str:
    """Return `name how`, or the reason and link of a refusal."""
    gateway = snapshot.gateways[gateway_id]
    found = resolve(Permit(caller, gateway, snapshot), gateway.assignments[0])
    if isinstance(found, Choice):
        return f"{found.installation.name} {found.how}"
    return f"{found.reason} {found.detail}".strip()


@pytest.mark.requirement("GW-6", "INS-10")
@pytest.mark.parametrize(
    ("caller", "there", "expected"),
    [
        (BOB, [OWN], "own pinned"),
        (BOB, [TEAM], "team pinned"),
        (BOB, [SHARED], "shared pinned"),
        (BOB, [UNSHARED], "installation_missing"),
        (BOB, [FOREIGN_TEAM], "installation_missing"),
        (BOB, [SHARED_ELSEWHERE], "installation_missing"),
        (BOB, [PUSHED], "installation_missing"),
        (BOB, [LENT], "lent pinned_through_gateway"),
        (ENGINEERING, [TEAM], "team pinned"),
        (ENGINEERING, [OTHER_TEAM], "installation_missing"),
        (ENGINEERING, [OWN], "installation_missing"),
        (ENGINEERING, [SHARED], "installation_missing"),
        (ENGINEERING, [LENT], "lent pinned_through_gateway"),
        (ORGANIZATION, [TEAM], "installation_missing"),
        (ORGANIZATION, [OWN], "installation_missing"),
        (ORGANIZATION, [LENT], "lent pinned_through_gateway"),
    ],
)
def test_a_pinned_installation_serves_its_owners_scope_and_through_gateways_everyone(
    caller: Principal, there: list[list[dict[str, Any]]], expected: str
) -> None:
    name = there[0][0]["metadata"]["name"]
    assert outcome(snapshot_of(*there, entry("github"), gateway("tools", pinned(name))), caller) == expected


@pytest.mark.requirement("GW-6", "INS-10")
@pytest.mark.parametrize(
    ("caller", "there", "expected"),
    [
        (BOB, [OWN, TEAM, SHARED], "own own"),
        (BOB, [TEAM, SHARED], "team team"),
        (BOB, [OTHER_TEAM, SHARED], "other-team team"),
        (BOB, [SHARED, UNSHARED], "shared shared"),
        (BOB, [UNSHARED], f"installation_needed {LINK}"),
        (BOB, [PUSHED, SHARED_ELSEWHERE, FOREIGN_TEAM, LENT], f"installation_needed {LINK}"),
        (BOB, [], f"installation_needed {LINK}"),
        (ENGINEERING, [OWN, TEAM, OTHER_TEAM, SHARED], "team team"),
        (ENGINEERING, [OWN, OTHER_TEAM, SHARED, LENT], f"installation_needed {LINK}"),
        (ORGANIZATION, [OWN, TEAM, SHARED, LENT], "subject_needed"),
    ],
)
def test_at_call_time_the_nearest_installation_serves(caller: Principal, there: list[list[dict[str, Any]]], expected: str) -> None:
    assert outcome(snapshot_of(*there, entry("github"), gateway("tools", by_entry())), caller) == expected


@pytest.mark.requirement("GW-6")
def test_the_gateways_teams_come_before_the_callers_other_teams() -> None:
    world = [*TEAM, *OTHER_TEAM, entry("github")]
    assert outcome(snapshot_of(world, gateway("tools", by_entry(), teams=["sales"])), BOB) == "other-team team"
    assert outcome(snapshot_of(world, gateway("tools", by_entry(), teams=["engineering"])), BOB) == "team team"


@pytest.mark.requirement("GW-6", "INS-10")
def test_sharing_ends_when_the_owner_or_the_caller_leaves_the_team() -> None:
    world = [*SHARED, entry("github"), gateway("tools", by_entry())]
    owner_left = snapshot_of(world, settings(teams={"engineering": ["okta:bob"]}))
    assert outcome(owner_left, BOB) == f"installation_needed {LINK}"
    caller_left = Principal("user", "okta:bob", frozenset({"sales"}), "")
    assert outcome(snapshot_of(world), caller_left) == f"installation_needed {LINK}"


@pytest.mark.requirement("GW-6")
@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([installation("b", team="sales"), installation("a", team="engineering")], "a team"),
        ([installation("a", team="sales", namespace="qa"), installation("z", team="sales", namespace="dev")], "z team"),
        (
            [
                installation("a", team="sales", in_environment="staging"),
                installation("z", team="sales", namespace="qa", in_environment="prod"),
            ],
            "z team",
        ),
    ],
    ids=["name", "namespace-before-name", "environment-before-namespace"],
)
def test_ties_go_by_the_entrys_environment_then_namespace_then_name(there: list[list[dict[str, Any]]], expected: str) -> None:
    world = [*flat(*there), namespace("dev"), namespace("qa"), entry("github", in_environment="prod"), gateway("tools", by_entry())]
    assert outcome(snapshot_of(world), BOB) == expected


@pytest.mark.requirement("GW-6")
def test_an_entry_without_environment_is_at_home_in_the_default_one() -> None:
    there = [installation("a", team="sales", in_environment="prod"), installation("b", team="sales", in_environment="staging")]
    world = [*flat(*there), entry("github"), gateway("tools", by_entry()), environment("prod")]
    assert outcome(snapshot_of(world, environment("staging", default=True)), BOB) == "b team"


@pytest.mark.requirement("GW-6")
def test_an_assignment_to_an_environment_uses_no_other() -> None:
    there = [installation("own", user="okta:bob", in_environment="prod"), installation("team", team="sales", in_environment="staging")]
    world = [*flat(*there), entry("github"), gateway("tools", by_entry(environmentRef={"name": "staging"}))]
    assert outcome(snapshot_of(world), BOB) == "team team"


@pytest.mark.requirement("GW-6")
@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry("github", teams=["sales"])], f"installation_needed {LINK}"),
        ([entry("github", teams=["support"])], "installation_missing"),
        ([], "installation_missing"),
    ],
    ids=["he-sees-the-entry", "hidden-from-him", "no-such-entry"],
)
def test_the_link_goes_to_those_who_may_install(entries: list[dict[str, Any]], expected: str) -> None:
    assert outcome(snapshot_of(*entries, gateway("tools", by_entry())), BOB) == expected


def test_an_installation_that_is_not_connected_does_not_count() -> None:
    unconnected = OWN[:1]
    world = snapshot_of(unconnected, TEAM, entry("github"), gateway("tools", by_entry()), gateway("pin", pinned("own")))
    assert outcome(world, BOB) == "team team"
    assert resolve(Permit(BOB, world.gateways["dev.pin"], world), world.gateways["dev.pin"].assignments[0]) == Refusal(
        Reason.INSTALLATION_MISSING
    )


def test_a_pinned_installation_is_one_of_the_gateways_namespace() -> None:
    elsewhere = installation("bot", team="sales", namespace="qa")
    world = snapshot_of(elsewhere, namespace("qa"), namespace("dev"), gateway("tools", pinned("bot")))
    assert outcome(world, BOB) == "installation_missing"
