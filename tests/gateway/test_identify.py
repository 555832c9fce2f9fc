"""Who is calling: the Authorization header against the tokens."""

from typing import Any

import pytest

from gateway_world import ALICE, TEAMS, settings, snapshot_of, text_of, token
from wharfinger_crds.token import Token
from wharfinger_gateway.identify import Credentials, identify
from wharfinger_gateway.known_bearers import NoBearers
from wharfinger_gateway.principal import Principal
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.snapshot import Tokens
from wharfinger_gateway.translate import translate_tokens

NOW = 1_790_000_000.0
OLD, FUTURE = "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"


def tokens(*manifests: dict[str, object]) -> Tokens:
    return translate_tokens(Token.parse(one) for one in manifests)[0]


def who(tokens: Tokens, *headers: str, now: float = NOW, teams: dict[str, list[str]] = TEAMS) -> Principal | Refusal:
    return identify(headers, "dev.tools", Credentials(tokens, NoBearers()), snapshot_of(settings(teams=teams)), now)


@pytest.mark.requirement("AUT-4")
@pytest.mark.parametrize(
    ("subject", "principal"),
    [
        ({"user": "okta:alice"}, Principal("user", "okta:alice", frozenset({"engineering"}), "McpToken t")),
        ({"user": "okta:bob"}, Principal("user", "okta:bob", frozenset({"engineering", "sales"}), "McpToken t")),
        ({"user": "okta:dave"}, Principal("user", "okta:dave", frozenset(), "McpToken t")),
        ({"team": "sales"}, Principal("team", None, frozenset({"sales"}), "McpToken t")),
        ({}, Principal("organization", None, frozenset(), "McpToken t")),
        (
            {"user": "okta:dave", "gateways": ["dev.tools"]},
            Principal("user", "okta:dave", frozenset(), "McpToken t", frozenset({"dev.tools"})),
        ),
    ],
    ids=["user", "user-of-two-teams", "user-of-no-team", "team", "organization", "for-one-gateway"],
)
def test_a_token_says_who_calls(subject: dict[str, str], principal: Principal) -> None:
    assert who(tokens(token("t", ALICE, **subject)), f"Bearer {ALICE}") == principal


@pytest.mark.requirement("AUT-4")
@pytest.mark.parametrize(
    ("headers", "spec", "reason"),
    [
        ((), {}, Reason.TOKEN_MISSING),
        (("",), {}, Reason.TOKEN_MISSING),
        (("Bearer",), {}, Reason.TOKEN_MISSING),
        (("Bearer ",), {}, Reason.TOKEN_MISSING),
        (("Basic YWxpY2U6eA==",), {}, Reason.TOKEN_MISSING),
        ((ALICE,), {}, Reason.TOKEN_MISSING),
        ((f"Bearer {ALICE[:-1]}x",), {}, Reason.TOKEN_MALFORMED),
        ((f"Bearer {ALICE} x",), {}, Reason.TOKEN_MALFORMED),
        ((f"Bearer {ALICE}", f"Bearer {ALICE}"), {}, Reason.TOKEN_MALFORMED),
        (("Bearer sha256:" + "0" * 64,), {}, Reason.TOKEN_MALFORMED),
        (("Bearer \udcff\udcfe",), {}, Reason.TOKEN_MALFORMED),
        ((f"Bearer {text_of('nobody')}",), {}, Reason.TOKEN_UNKNOWN),
        ((f"Bearer {ALICE}",), {"disabled": True}, Reason.TOKEN_DISABLED),
        ((f"Bearer {ALICE}",), {"expiresAt": OLD}, Reason.TOKEN_EXPIRED),
    ],
)  # fmt: skip
def test_anything_but_a_valid_token_is_refused(headers: tuple[str, ...], spec: dict[str, Any], reason: Reason) -> None:
    assert who(tokens(token("t", ALICE, user="okta:alice", **spec)), *headers) == Refusal(reason)


@pytest.mark.requirement("AUT-4")
def test_a_token_ends_at_its_time_to_the_second() -> None:
    known = tokens(token("t", ALICE, user="okta:alice", expiresAt="2027-01-01T01:00:00+01:00"))
    end = 1_798_761_600.0  # 2027-01-01T00:00:00Z
    assert isinstance(who(known, f"Bearer {ALICE}", now=end - 1), Principal)
    assert who(known, f"Bearer {ALICE}", now=end) == Refusal(Reason.TOKEN_EXPIRED)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    assert isinstance(who(tokens(token("t", ALICE, user="okta:alice", expiresAt=FUTURE)), f"{scheme} {ALICE}"), Principal)


@pytest.mark.requirement("AUT-4")
def test_a_hash_that_two_objects_claim_counts_for_neither() -> None:
    both = [Token.parse(token(name, ALICE, **subject)) for name, subject in (("a", {"user": "okta:alice"}), ("b", {"user": "okta:bob"}))]
    found, refused = translate_tokens(both)
    assert who(found, f"Bearer {ALICE}") == Refusal(Reason.TOKEN_UNKNOWN)
    assert [(one.name, "a, b" in one.reason) for one in refused] == [("a", True), ("b", True)]


def test_a_token_whose_end_cannot_be_read_does_not_count() -> None:
    found, refused = translate_tokens([Token.parse(token("t", ALICE, user="okta:alice", expiresAt="2027-01-01T00:00:00"))])
    assert (dict(found), [one.reason for one in refused]) == ({}, ["expiresAt is no RFC 3339 time"])


@pytest.mark.requirement("AUT-4", "GW-3")
def test_leaving_a_team_counts_at_the_next_request() -> None:
    known = tokens(token("t", ALICE, user="okta:alice"))
    after = who(known, f"Bearer {ALICE}", teams={"engineering": ["okta:bob"]})
    assert isinstance(after, Principal)
    assert after.teams == frozenset()


def test_all_credentials_of_one_user_are_one_subject() -> None:
    first, second = (
        Principal("user", "okta:bob", teams, name) for teams, name in ((frozenset({"a"}), "McpToken 1"), (frozenset[str](), "McpToken 2"))
    )
    assert first.digest == second.digest
