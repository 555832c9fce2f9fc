"""How registries ask for a login."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_operator.registry_challenge import Challenge, basic, bearer, read_challenges, token_url

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull,push"'


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([HUB], [("bearer", {"realm": "https://auth.docker.io/token", "service": "registry.docker.io", "scope": "repository:library/nginx:pull,push"})]),
        (['Basic realm="a, b=c"'], [("basic", {"realm": "a, b=c"})]),
        (['Basic realm="a\\"b"'], [("basic", {"realm": 'a"b'})]),
        (["BASIC realm=x", 'bearer  realm = "y" , service=z'], [("basic", {"realm": "x"}), ("bearer", {"realm": "y", "service": "z"})]),
        (['Basic realm="x", Bearer realm="y"'], [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})]),
        (["Negotiate, Basic"], [("negotiate", {}), ("basic", {})]),
        (['Bearer realm="a",realm="b"'], [("bearer", {"realm": "a"})]),
        (["", 'realm="x"', '="'], []),
        (['Basic realm="open'], [("basic", {})]),
    ],
)  # fmt: skip
def test_challenges_are_read(headers: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    assert read_challenges(headers) == tuple(Challenge(scheme, parameters) for scheme, parameters in expected)


@given(st.lists(st.text(alphabet='aZ=," \\\t~é', max_size=60), max_size=3))
def test_no_header_is_a_fault(headers: list[str]) -> None:
    for challenge in read_challenges(headers):
        token_url(challenge, "a/b")


@pytest.mark.parametrize(
    ("parameters", "url"),
    [
        ({"realm": "https://a.dev/token", "service": "s s"}, "https://a.dev/token?scope=repository%3Aacme%2Fx%3Apull&service=s+s"),
        ({"realm": "https://a.dev/token?x=1#y"}, "https://a.dev/token?x=1&scope=repository%3Aacme%2Fx%3Apull"),
        ({"realm": "https://a.dev/token", "scope": "repository:other/x:push"}, "https://a.dev/token?scope=repository%3Aacme%2Fx%3Apull"),
        ({}, None),
        ({"realm": "token"}, None),
        ({"realm": "file:///etc/passwd"}, None),
        ({"realm": "https://user@a.dev/token"}, None),
        ({"realm": "https://a.dev:port/token"}, None),
        ({"realm": "https://a.dev/to\nken"}, None),
        ({"realm": "https://[::1"}, None),
    ],
)
def test_a_token_is_asked_for_pulling_from_this_repository_only(parameters: dict[str, str], url: str | None) -> None:
    assert token_url(Challenge("bearer", parameters), "acme/x") == url


@pytest.mark.parametrize(
    ("answer", "header"),
    [
        (b'{"token": "abc"}', "Bearer abc"),
        (b'{"access_token": "abc"}', "Bearer abc"),
        (b'{"token": "a b"}', None),
        (b'{"token": "a\\r\\nx-evil: 1"}', None),
        (b'{"token": 7}', None),
        (b"[]", None),
        (b"[" * 100_000, None),
        (b"", None),
    ],
)
def test_a_token_is_taken_only_where_it_is_one(answer: bytes, header: str | None) -> None:
    assert bearer(answer) == header


def test_a_login_may_have_any_characters() -> None:
    assert basic("robot", "päss") == "Basic cm9ib3Q6cMOkc3M="
