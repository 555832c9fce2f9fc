"""What identity providers say about people, and who it is for us."""

from typing import Any

import pytest

from wharfinger_crds.identity_provider import IdentityProvider
from wharfinger_oauth.claims import ClaimError, needed_claims, subject_of
from wharfinger_oauth.subject import MAX_GROUPS, Subject

SAID: dict[str, Any] = {"sub": "00u1", "iat": 1000, "email": "alice@example.com", "email_verified": True, "groups": ["b", "a"]}


def provider(**changes: Any) -> IdentityProvider:
    return IdentityProvider.model_validate({"name": "okta", "issuer": "https://idp.example", "clientId": "c", **changes})


def refused(settings: IdentityProvider, **claims: Any) -> str:
    found = subject_of(settings, {**SAID, **claims})
    assert isinstance(found, ClaimError), found
    return found.message


@pytest.mark.requirement("AUT-5")
def test_a_person_is_named_by_provider_and_username_claim_with_prefixed_groups() -> None:
    settings = provider(groupsClaim="groups", groupsPrefix="okta:")

    assert subject_of(settings, SAID) == Subject(
        "okta:00u1", "okta", "https://idp.example", "00u1", 1000, "alice@example.com", ("okta:a", "okta:b")
    )


@pytest.mark.parametrize(
    "value", ["", "with space", "a,b", "a\tb", "a\nb", "a\x00b", "a\u202eb", "a\u2028b", "a\u00a0b", "x" * 254, 7, None, ["a"]]
)
@pytest.mark.parametrize("claim", ["sub", "preferred_username"])
def test_what_could_be_taken_for_something_else_is_no_name(claim: str, value: object) -> None:
    settings = provider(usernameClaim=claim)

    assert f"the claim {claim}" in refused(settings, **{"preferred_username": "alice", claim: value})


def test_who_is_named_by_another_claim_may_have_any_subject_that_can_be_shown() -> None:
    found = subject_of(provider(usernameClaim="preferred_username"), {**SAID, "preferred_username": "alice", "sub": "CN=Alice A, OU=x"})

    assert isinstance(found, Subject)
    assert (found.user, found.subject) == ("okta:alice", "CN=Alice A, OU=x")


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_email_address_names_nobody_unless_the_provider_says_it_is_verified(verified: object) -> None:
    assert "email_verified" in refused(provider(usernameClaim="email"), email_verified=verified)

    found = subject_of(provider(), {**SAID, "email_verified": verified})
    assert isinstance(found, Subject)
    assert found.email is None


def test_one_group_may_be_a_string() -> None:
    found = subject_of(provider(groupsClaim="groups"), {**SAID, "groups": "staff"})

    assert isinstance(found, Subject)
    assert found.groups == ("staff",)


@pytest.mark.parametrize("groups", [7, {"a": 1}, [1], [["a"]], True])
def test_groups_that_are_no_strings_are_an_error_and_not_no_groups(groups: object) -> None:
    assert "neither a string nor a list of strings" in refused(provider(groupsClaim="groups"), groups=groups)


def test_groups_that_no_settings_can_name_are_left_out() -> None:
    found = subject_of(provider(groupsClaim="groups"), {**SAID, "groups": ["Domain Users", "x" * 257, "a\nb", ""]})

    assert isinstance(found, Subject)
    assert found.groups == ("Domain Users",)


def test_more_groups_than_can_be_carried_along_are_an_error_to_read() -> None:
    settings = provider(groupsClaim="groups")
    most = [f"g{number:03}" for number in range(MAX_GROUPS)]

    assert f"more than {MAX_GROUPS} groups" in refused(settings, groups=[*most, "one-more"])
    assert isinstance(subject_of(settings, {**SAID, "groups": most}), Subject)


def test_groups_that_entra_leaves_out_are_an_error_to_read() -> None:
    elsewhere = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example"}}}
    claims = {name: value for name, value in SAID.items() if name != "groups"} | elsewhere

    found = subject_of(provider(groupsClaim="groups"), claims)

    assert isinstance(found, ClaimError)
    assert "too many" in found.message
    assert isinstance(subject_of(provider(), claims), Subject)


def test_without_a_groups_claim_nobody_has_groups() -> None:
    found = subject_of(provider(), SAID)

    assert isinstance(found, Subject)
    assert found.groups == ()


@pytest.mark.parametrize("tenant", ["other", None, 7, ["t1"]])
def test_a_required_claim_must_be_exactly_that(tenant: object) -> None:
    settings = provider(requiredClaims={"tid": "t1"})

    assert "the claim tid" in refused(settings, tid=tenant)
    assert isinstance(subject_of(settings, {**SAID, "tid": "t1"}), Subject)


def test_no_error_holds_what_a_claim_says() -> None:
    for message in (refused(provider(), sub="planted value"), refused(provider(requiredClaims={"tid": "t1"}), tid="planted value")):
        assert "planted" not in message


def test_what_is_needed_is_what_the_settings_read() -> None:
    settings = provider(usernameClaim="email", groupsClaim="roles", requiredClaims={"hd": "example.com"})

    assert needed_claims(settings) == {"email", "email_verified", "roles", "hd"}
