"""The pure parts of the vocabulary: names, durations, tokens, conditions, grants, tool selection."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.base import Condition
from wharfinger_crds.duration import quantity, seconds
from wharfinger_crds.gateway import ToolAssignment
from wharfinger_crds.grants import grants_of
from wharfinger_crds.installation import Owner
from wharfinger_crds.token import ALPHABET, is_token, token_hash, token_text
from wharfinger_crds.tool_selection import matches, missing_tools, selected_tools
from wharfinger_crds.visibility import GatewayVisibility

CONDITION = '{"type":"X","status":"True","reason":"Succeeded","message":"a message of its own","lastTransitionTime":"2026-01-01T00:00:00Z"}'
labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?", fullmatch=True)
bodies = st.text(alphabet=ALPHABET, min_size=30, max_size=30)


@given(labels, labels)
def test_names_derived_from_an_installation_are_dns_labels(namespace: str, name: str) -> None:
    server = names.server_name(namespace, name)

    assert len(server) <= 63
    assert server[0].isalpha()
    assert server.isascii()
    assert not server.endswith("-")


@given(labels, labels, labels)
def test_two_tenants_with_equal_names_get_different_servers(one: str, other: str, name: str) -> None:
    assert (names.server_name(one, name) == names.server_name(other, name)) == (one == other)


@pytest.mark.parametrize(("text", "expected"), [("30s", 30), ("1m30s", 90), ("250ms", 0.25), ("2h", 7200)])
def test_durations_are_read_in_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "30", "s", "1d", "-1s", "1.5s", "30s ", "1m-"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


@pytest.mark.parametrize(("text", "expected"), [("4Mi", 4 * 2**20), ("512Ki", 512 * 2**10), ("1k", 1000), ("7", 7)])
def test_quantities_are_read_in_bytes(text: str, expected: int) -> None:
    assert quantity(text) == expected


@given(bodies)
def test_a_token_with_one_wrong_character_is_no_token(body: str) -> None:
    token = token_text("team", body)

    assert is_token(token)
    assert not is_token(token[:10] + ("a" if token[10] != "a" else "b") + token[11:])
    assert not is_token(token + "\n")


def test_a_token_is_stored_as_the_sha256_that_a_shell_makes() -> None:
    # printf %s abc | sha256sum
    assert token_hash("abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_transition_time_changes_only_when_the_status_flips() -> None:
    before = (Condition(type="Ready", status="True", reason="Succeeded", last_transition_time="2026-01-01T00:00:00Z"),)

    same = c.merged(before, (c.Finding("Ready", "True", "Other", "another message"),), 2, "2026-02-02T00:00:00Z")
    flipped = c.merged(before, (c.Finding("Ready", "False", "Other"),), 2, "2026-02-02T00:00:00Z")

    assert same[0].last_transition_time == "2026-01-01T00:00:00Z"
    assert same[0].message == "another message"
    assert flipped[0].last_transition_time == "2026-02-02T00:00:00Z"


@pytest.mark.parametrize(
    ("reason", "extra"),
    [(c.NOT_IMPLEMENTED, c.STALLED), (c.FIELD_MISSING, c.STALLED), (c.PROGRESSING, c.RECONCILING), (c.ENTRY_NOT_FOUND, c.RECONCILING)],
)
def test_ready_repeats_what_is_wrong_and_says_whether_waiting_helps(reason: str, extra: str) -> None:
    ready, *_, last = c.summary((c.true(c.ACCEPTED), c.false(c.VALUES_RESOLVED, reason, "why")))

    assert (ready.type, ready.status, ready.reason, ready.message) == (c.READY, "False", reason, "why")
    assert (last.type, last.status) == (extra, "True")


def test_ready_without_anything_open_is_true_and_nothing_reconciles() -> None:
    assert [f.type for f in c.summary((c.true(c.ACCEPTED),))] == [c.READY, c.ACCEPTED]


@pytest.mark.parametrize(
    ("annotations", "owner", "covered"),
    [
        ({names.TEAMS_GRANT: "a, b"}, Owner(team="b"), True),
        ({names.TEAMS_GRANT: "a"}, Owner(team="b"), False),
        ({names.TEAMS_GRANT: "*"}, Owner(user="okta:alice"), False),
        ({names.USERS_GRANT: "okta:alice"}, Owner(user="okta:alice"), True),
        ({names.USERS_GRANT: "*"}, Owner(user="okta:bob"), True),
        ({}, Owner(team="a"), False),
    ],
)
@pytest.mark.requirement("INS-1")
def test_a_namespace_holds_only_owners_that_its_annotations_grant(annotations: dict[str, str], owner: Owner, covered: bool) -> None:
    assert grants_of(annotations).covers_owner(owner) is covered


def test_a_gateway_is_told_the_annotation_that_its_visibility_lacks() -> None:
    grants = grants_of({names.TEAMS_GRANT: "a"})

    assert grants.missing_for(GatewayVisibility(scope="Team", teams=("a",))) is None
    assert grants.missing_for(GatewayVisibility(scope="Team", teams=("a", "b"))) == 'wharfinger.dev/teams: "b"'
    assert grants.missing_for(GatewayVisibility(scope="Org")) == 'wharfinger.dev/organization: "true"'


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("get_*",), (), ("get_a", "get_b")),
        (("*",), ("get_*",), ("search",)),
        (("search", "absent"), (), ("search",)),
        ((), (), ()),
        (("get_[ab]", "get_?"), (), ()),
    ],
)
@pytest.mark.requirement("GW-2")
def test_tools_are_chosen_by_exact_name_or_star(include: tuple[str, ...], exclude: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assignment = ToolAssignment.model_validate({"installationRef": {"name": "x"}, "include": include, "exclude": exclude})

    assert selected_tools(assignment, ("search", "get_b", "get_a")) == expected


@given(st.lists(st.sampled_from(["a", "b", "ab", "*"]), max_size=6), st.text(alphabet="ab", max_size=8))
def test_a_pattern_matches_what_a_shell_would(parts: list[str], name: str) -> None:
    assert matches(name, "".join(parts)) == fnmatch.fnmatchcase(name, "".join(parts))


def test_an_included_name_that_the_server_lacks_is_reported_and_a_pattern_is_not() -> None:
    assignment = ToolAssignment.model_validate({"installationRef": {"name": "x"}, "include": ("search", "gone", "none_*")})

    assert missing_tools(assignment, ("search",)) == ("gone",)


def test_strings_that_objects_have_in_common_are_kept_once() -> None:
    one, other = (Condition.model_validate_json(CONDITION) for _ in range(2))

    assert one == other
    assert one.message is other.message
    assert one.model_copy(update={"message": "y"}).message == "y"
    assert other.message == "a message of its own"
