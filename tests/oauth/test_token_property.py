"""Whatever a token says, reading it gives a value."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from wharfinger_crds.base import UserName
from wharfinger_crds.identity_provider import IdentityProvider
from wharfinger_oauth.claims import ClaimError, subject_of
from wharfinger_oauth.identity_assertion import Assertion, Expected, RefusedAssertion, Target, judged
from wharfinger_oauth.signed_token import SignedToken, read
from wharfinger_oauth.strict_json import read_object
from wharfinger_oauth.subject import MAX_GROUPS, Subject

NOW = 1_800_000_000
PROVIDER = IdentityProvider.model_validate({"name": "okta", "issuer": "https://idp.example", "clientId": "c", "groupsClaim": "groups"})
TARGET = Target("team-a.tools", frozenset({"mcp"}), frozenset({"okta"}))
EXPECTED = Expected("https://gateway.example", "agent", True, lambda url: TARGET if url == "https://gateway.example/mcp" else None)
USER = TypeAdapter(UserName)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def claims(right: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Right claims, some of them replaced."""
    return st.dictionaries(st.sampled_from(sorted(right)), values).map(lambda wrong: {**right, **wrong})


@given(st.text() | st.text("ey.J0-_=").map(lambda text: f"eyJhbGciOiJub25lIn0.{text}."))
def test_any_text_is_a_token_or_none(text: str) -> None:
    token = read(text)

    assert token is None or isinstance(token.claims, dict)


@given(st.binary() | st.text())
def test_any_bytes_are_an_object_or_none(data: bytes | str) -> None:
    assert isinstance(read_object(data), dict | None)


@given(claims({"sub": "alice", "iat": 1, "auth_time": 1, "email": "a@b.c", "email_verified": True, "groups": ["a"], "_claim_names": {}}))
def test_whoever_claims_name_has_a_name_that_settings_and_tokens_can_name_too(said: dict[str, Any]) -> None:
    found = subject_of(PROVIDER, said)

    assert isinstance(found, Subject | ClaimError)
    if isinstance(found, Subject):
        assert USER.validate_python(found.user) == found.user
        assert len(found.groups) <= MAX_GROUPS


RIGHT: dict[str, Any] = {
    "iss": "https://idp.example", "sub": "alice", "aud": "https://gateway.example", "client_id": "agent", "jti": "1", "scope": "mcp",
    "resource": "https://gateway.example/mcp", "iat": NOW, "nbf": NOW, "exp": NOW + 300,
}  # fmt: skip


@given(claims(RIGHT))
def test_an_assertion_with_wrong_claims_is_refused_in_words(said: dict[str, Any]) -> None:
    found = judged(SignedToken("", {}, said), PROVIDER, EXPECTED, NOW)

    assert isinstance(found, Assertion | RefusedAssertion)
    if isinstance(found, Assertion):
        assert (said["aud"], said["client_id"]) in [("https://gateway.example", "agent")]
        assert found.scopes == {"mcp"}


def test_an_assertion_with_right_claims_counts() -> None:
    assert isinstance(judged(SignedToken("", {}, RIGHT), PROVIDER, EXPECTED, NOW), Assertion)
