"""ID-JAGs: each thing that an assertion must say, and what is said to a client whose does not."""

import json
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from hostile_identity_provider import KEYS, HostileIdentityProvider, always
from identity_provider_process import IdentityProviderProcess
from wharfinger_oauth.identity_assertion import Assertion, Expected, RefusedAssertion, Target, read_assertion
from wharfinger_oauth.issuers import TrustedIssuer, trusted_issuers
from wharfinger_oauth.subject import Subject
from wharfinger_oauth.unavailable import Unavailable

OURS = "https://gateway.example"
URL = f"{OURS}/v1/mcp/team-a.tools"
OTHER = f"{OURS}/v1/mcp/team-a.other"
NOW = 1_800_000_000
TARGETS = {
    URL: Target("team-a.tools", frozenset({"mcp"}), frozenset({"okta"})),
    f"{URL}/sse": Target("team-a.tools", frozenset({"mcp"}), frozenset({"okta"})),
    OTHER: Target("team-a.other", frozenset({"mcp"}), frozenset({"entra"})),
}


def expected(**changes: Any) -> Expected:
    return Expected(**{"issuer": OURS, "client_id": "agent", "confidential": True, "named_by": TARGETS.get, **changes})


@pytest.fixture
def issuers(hostile: HostileIdentityProvider, http: httpx.AsyncClient) -> Mapping[str, TrustedIssuer]:
    return trusted_issuers([hostile.provider()], {}, http)


def assertion(hostile: HostileIdentityProvider, claims: Mapping[str, Any] | None = None, **header: Any) -> str:
    right = {
        "iss": hostile.issuer, "sub": "alice", "aud": OURS, "client_id": "agent", "jti": "j1", "resource": URL, "scope": "mcp",
        "iat": NOW - 5, "exp": NOW + 295, **(claims or {}),
    }  # fmt: skip
    body = {name: value for name, value in right.items() if value is not None}
    return hostile.token(body, **{"typ": "oauth-id-jag+jwt", **header})


@pytest.mark.requirement("AUT-3")
async def test_an_id_jag_of_a_real_provider_counts(real: IdentityProviderProcess, http: httpx.AsyncClient) -> None:
    issuers = trusted_issuers([real.provider(usernameClaim="email", groupsClaim="groups")], {}, http)
    text = await real.id_jag("alice", audience=OURS, resource=URL, client_id="agent")

    found = await read_assertion(text, issuers, expected(resource=f"{URL}/sse", scopes=frozenset({"mcp"})), time.time())

    assert isinstance(found, Assertion)
    assert (found.subject.user, found.subject.groups) == ("okta:alice@example.com", ("engineering", "staff"))
    assert (found.resource, found.scopes, found.issuer) == ("team-a.tools", frozenset({"mcp"}), real.issuer)
    assert 290 <= found.expires_at - time.time() <= 300


@pytest.mark.requirement("AUT-3")
async def test_what_an_assertion_gives_is_all_that_its_record_needs(
    hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    subject = Subject("okta:alice", "okta", hostile.issuer, "alice", NOW - 5)

    assert await read_assertion(assertion(hostile), issuers, expected(), NOW) == Assertion(
        subject, "j1", hostile.issuer, "team-a.tools", frozenset({"mcp"}), NOW + 295
    )


@pytest.mark.requirement("AUT-3")
@pytest.mark.parametrize(
    ("claims", "about"),
    [
        ({"aud": None}, "(aud)"),
        ({"aud": f"{OURS}/"}, "(aud)"),
        ({"aud": f"{OURS}/token"}, "(aud)"),
        ({"aud": [OURS, "https://other.example"]}, "(aud)"),
        ({"aud": [OURS, OURS]}, "(aud)"),
        ({"aud": []}, "(aud)"),
        ({"exp": None}, "(iat, exp)"),
        ({"iat": None}, "(iat, exp)"),
        ({"exp": str(NOW + 60)}, "(iat, exp)"),
        ({"nbf": "x"}, "(iat, exp)"),
        ({"exp": NOW - 60}, "(exp)"),
        ({"iat": NOW + 61, "exp": NOW + 100}, "(iat, nbf)"),
        ({"nbf": NOW + 61}, "(iat, nbf)"),
        ({"exp": NOW + 10 * 365 * 86_400}, "(iat, exp)"),
        ({"exp": NOW + 356}, "(iat, exp)"),
        ({"iat": NOW - 601, "exp": NOW - 300}, "(exp)"),
        ({"jti": None}, "(jti)"),
        ({"jti": ""}, "(jti)"),
        ({"jti": 7}, "(jti)"),
        ({"jti": "j" * 1025}, "(jti)"),
        ({"client_id": "another"}, "(client_id)"),
        ({"client_id": None}, "(client_id)"),
        ({"client_id": ["agent"]}, "(client_id)"),
        ({"cnf": {"jkt": "x"}}, "(cnf,"),
        ({"authorization_details": []}, "authorization_details"),
        ({"act": {"sub": "x"}}, "act)"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": {"a": 1}}, "sub"),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
async def test_each_thing_that_an_assertion_must_say_is_required(
    claims: dict[str, Any], about: str, hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    found = await read_assertion(assertion(hostile, claims), issuers, expected(), NOW)

    assert isinstance(found, RefusedAssertion), found
    assert found.error == "invalid_grant"
    assert about in found.description


@pytest.mark.requirement("AUT-3")
@pytest.mark.parametrize(
    ("claims", "asked"),
    [
        ({"resource": OTHER}, {}),
        ({"resource": "https://elsewhere.example"}, {}),
        ({"resource": [URL, OTHER]}, {}),
        ({"resource": [URL, URL]}, {}),
        ({"resource": []}, {}),
        ({"resource": 7}, {}),
        ({"resource": None}, {}),
        ({"resource": None}, {"resource": OTHER}),
        ({}, {"resource": OTHER}),
        ({}, {"resource": "https://elsewhere.example"}),
    ],
    ids=str,
)
async def test_an_assertion_counts_at_the_gateway_that_it_is_for_and_that_takes_its_issuer_s(
    claims: dict[str, Any], asked: dict[str, Any], hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    found = await read_assertion(assertion(hostile, claims), issuers, expected(**asked), NOW)

    assert isinstance(found, RefusedAssertion), found
    assert found.error == "invalid_target"


@pytest.mark.parametrize(("claims", "asked"), [({"resource": [URL]}, {}), ({"resource": None}, {"resource": URL}), ({"aud": [OURS]}, {})])
async def test_what_may_be_said_in_another_way_counts_too(
    claims: dict[str, Any], asked: dict[str, Any], hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    assert isinstance(await read_assertion(assertion(hostile, claims), issuers, expected(**asked), NOW), Assertion)


@pytest.mark.requirement("AUT-3")
@pytest.mark.parametrize(
    ("said", "asked", "granted"),
    [
        ("mcp chat.read", None, {"mcp"}),
        ("mcp chat.read", {"mcp"}, {"mcp"}),
        (None, None, {"mcp"}),
        (None, {"mcp"}, {"mcp"}),
        ("mcp", {"mcp", "admin"}, None),
        ("chat.read", {"mcp"}, None),
        ("chat.read", None, None),
        ("", None, None),
        (["mcp"], None, None),
        (None, {"admin"}, None),
    ],
)
async def test_nothing_is_granted_beyond_assertion_request_and_gateway(
    said: object,
    asked: set[str] | None,
    granted: set[str] | None,
    hostile: HostileIdentityProvider,
    issuers: Mapping[str, TrustedIssuer],
) -> None:
    wanted = expected(scopes=None if asked is None else frozenset(asked))

    found = await read_assertion(assertion(hostile, {"scope": said}), issuers, wanted, NOW)

    if granted is None:
        assert isinstance(found, RefusedAssertion)
        assert found.error == "invalid_scope"
    else:
        assert isinstance(found, Assertion)
        assert found.scopes == granted


@pytest.mark.requirement("AUT-3")
async def test_a_client_that_cannot_prove_itself_presents_assertions_only_where_that_is_allowed(
    hostile: HostileIdentityProvider, http: httpx.AsyncClient, issuers: Mapping[str, TrustedIssuer]
) -> None:
    public = expected(confidential=False)
    allowing = trusted_issuers([hostile.provider(identityAssertions={"allowPublicClients": True})], {}, http)

    found = await read_assertion(assertion(hostile), issuers, public, NOW)

    assert isinstance(found, RefusedAssertion)
    assert found.error == "unauthorized_client"
    assert isinstance(await read_assertion(assertion(hostile), allowing, public, NOW), Assertion)


@pytest.mark.requirement("AUT-3")
async def test_of_a_provider_of_many_tenants_the_configured_one_counts(hostile: HostileIdentityProvider, http: httpx.AsyncClient) -> None:
    issuers = trusted_issuers([hostile.provider(identityAssertions={"tenant": "t1"})], {}, http)

    for tenant in (None, "t2", ["t1"]):
        found = await read_assertion(assertion(hostile, {"tenant": tenant}), issuers, expected(), NOW)
        assert isinstance(found, RefusedAssertion)
        assert "(tenant)" in found.description
    assert isinstance(await read_assertion(assertion(hostile, {"tenant": "t1"}), issuers, expected(), NOW), Assertion)


@pytest.mark.requirement("AUT-3")
async def test_another_token_of_the_provider_is_no_assertion(real: IdentityProviderProcess, http: httpx.AsyncClient) -> None:
    issuers = trusted_issuers([real.provider()], {}, http)

    for text in (await real.id_token(), await real.access_token(resource=OURS)):
        found = await read_assertion(text, issuers, expected(), time.time())
        assert isinstance(found, RefusedAssertion)
        assert found.error == "invalid_grant"


@pytest.mark.requirement("AUT-3")
@pytest.mark.parametrize("typ", ["JWT", None, "at+jwt", "oauth-id-jag", "jwt+oauth-id-jag"])
async def test_an_assertion_says_that_it_is_one(
    typ: str | None, hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    found = await read_assertion(assertion(hostile, typ=typ), issuers, expected(), NOW)

    assert isinstance(found, RefusedAssertion)
    assert hostile.asked.total() == 0


@pytest.mark.requirement("AUT-3")
async def test_a_forged_assertion_and_one_of_a_stranger_are_refused(
    hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    stranger = await read_assertion(assertion(hostile, {"iss": f"{hostile.issuer}/"}), issuers, expected(), NOW)
    assert isinstance(stranger, RefusedAssertion)
    assert hostile.asked.total() == 0

    forgeries: list[dict[str, Any]] = [
        {"alg": "none", "sign": lambda _: b""},
        {"alg": "HS256"},
        {"kid": "unknown"},
        {"sign": lambda _: b"AAAA"},
    ]
    for header in forgeries:
        found = await read_assertion(assertion(hostile, **header), issuers, expected(), NOW)
        assert isinstance(found, RefusedAssertion)
        assert found.error == "invalid_grant"
    for text in ("", "a.b.c", "x" * 20_000, assertion(hostile, {"pad": "x" * 20_000})):
        assert isinstance(await read_assertion(text, issuers, expected(), NOW), RefusedAssertion)


@pytest.mark.requirement("AUT-3")
async def test_clocks_of_provider_and_platform_may_differ_by_a_minute(
    hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    for claims in ({"exp": NOW - 59}, {"iat": NOW + 60, "exp": NOW + 300}, {"nbf": NOW + 60}, {"exp": NOW + 355}):
        assert isinstance(await read_assertion(assertion(hostile, claims), issuers, expected(), NOW), Assertion), claims


async def test_without_the_issuer_s_keys_nothing_is_refused(hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]) -> None:
    hostile.replies[KEYS] = always(503)

    assert isinstance(await read_assertion(assertion(hostile), issuers, expected(), NOW), Unavailable)
