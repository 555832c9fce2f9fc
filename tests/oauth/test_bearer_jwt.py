"""Access tokens of identity providers at a gateway: the right ones count, and no other, whatever is done to them."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey

from hostile_identity_provider import DISCOVERY, KEYS, HostileIdentityProvider, always, encoded, public, rs256, rsa_key, weak_rsa_key
from identity_provider_process import IdentityProviderProcess
from wharfinger_oauth.bearer_jwt import BadToken, Verified, verify
from wharfinger_oauth.issuers import TrustedIssuer, trusted_issuers
from wharfinger_oauth.unavailable import Unavailable

URL = "https://gateway.example/v1/mcp/team-a.tools"
NOW = 1_800_000_000


@pytest.fixture
def issuers(hostile: HostileIdentityProvider, http: httpx.AsyncClient) -> Mapping[str, TrustedIssuer]:
    return trusted_issuers([hostile.provider()], {}, http)


def claims(hostile: HostileIdentityProvider, **changes: Any) -> dict[str, Any]:
    whole = {"iss": hostile.issuer, "sub": "alice", "aud": URL, "iat": NOW - 10, "exp": NOW + 3600, "client_id": "agent", **changes}
    return {name: value for name, value in whole.items() if value is not None}


@pytest.mark.requirement("AUT-2")
async def test_a_real_provider_s_access_token_for_the_gateway_is_its_person(real: IdentityProviderProcess, http: httpx.AsyncClient) -> None:
    settings = real.provider(usernameClaim="email", groupsClaim="groups", groupsPrefix="okta:")
    issuers = trusted_issuers([settings], {}, http)
    token = await real.access_token("alice", resource=URL)
    issued = jws.extract_compact(token.encode())
    now = json.loads(issued.payload)["iat"]

    found = await verify(token, issuers, URL, now)

    assert isinstance(found, Verified)
    assert found.subject.user == "okta:alice@example.com"
    assert found.subject.groups == ("okta:engineering", "okta:staff")
    assert (found.provider, found.expires_at) == ("okta", now + 3600)
    assert await verify(token, issuers, f"{URL}-other", now) is BadToken.AUDIENCE
    assert await verify(token, issuers, URL, now + 3661) is BadToken.EXPIRED
    assert await verify(await real.access_token("bob", resource=URL), issuers, URL, now) is BadToken.CLAIMS


@pytest.mark.requirement("AUT-2")
async def test_a_real_provider_s_id_token_is_no_bearer_token(real: IdentityProviderProcess, http: httpx.AsyncClient) -> None:
    token = await real.id_token()
    now = json.loads(jws.extract_compact(token.encode()).payload)["iat"]

    assert await verify(token, trusted_issuers([real.provider()], {}, http), URL, now) is BadToken.AUDIENCE
    named = real.provider(bearerTokens={"audiences": ["agent"]})
    assert await verify(token, trusted_issuers([named], {}, http), URL, now) is BadToken.TYPE
    allowed = real.provider(bearerTokens={"audiences": ["agent"], "allowIdTokens": True})
    assert isinstance(await verify(token, trusted_issuers([allowed], {}, http), URL, now), Verified)


@pytest.mark.requirement("AUT-2")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"aud": "https://gateway.example/v1/mcp/team-a.other"}, BadToken.AUDIENCE),
        ({"aud": f"{URL}/"}, BadToken.AUDIENCE),
        ({"aud": URL.upper()}, BadToken.AUDIENCE),
        ({"aud": [URL, 7]}, BadToken.AUDIENCE),
        ({"aud": {"a": URL}}, BadToken.AUDIENCE),
        ({"aud": []}, BadToken.AUDIENCE),
        ({"aud": None}, BadToken.AUDIENCE),
        ({"exp": NOW - 60}, BadToken.EXPIRED),
        ({"exp": str(NOW + 60)}, BadToken.MALFORMED),
        ({"exp": True}, BadToken.MALFORMED),
        ({"exp": None}, BadToken.MALFORMED),
        ({"exp": 10**400}, BadToken.MALFORMED),
        ({"exp": -1}, BadToken.MALFORMED),
        ({"iat": None}, BadToken.MALFORMED),
        ({"iat": NOW + 61}, BadToken.NOT_YET),
        ({"nbf": NOW + 61}, BadToken.NOT_YET),
        ({"nbf": "now"}, BadToken.MALFORMED),
        ({"iat": NOW - 24 * 3600 - 60}, BadToken.TOO_OLD),
        ({"cnf": {"jkt": "x"}}, BadToken.BOUND),
        ({"sub": None}, BadToken.CLAIMS),
        ({"sub": ["alice"]}, BadToken.CLAIMS),
        ({"sub": "a b"}, BadToken.CLAIMS),
        ({"iss": None}, BadToken.ISSUER),
        ({"iss": ["x"]}, BadToken.ISSUER),
        ({"iss": "https://idp.example"}, BadToken.ISSUER),
    ],
    ids=str,
)
async def test_a_claim_that_is_not_what_it_must_be_is_refused(
    changes: dict[str, Any], expected: BadToken, hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    assert await verify(hostile.token(claims(hostile, **changes)), issuers, URL, NOW) is expected


@pytest.mark.requirement("AUT-2")
async def test_clocks_may_differ_by_a_minute(hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]) -> None:
    for changes in ({"exp": NOW - 59}, {"iat": NOW + 60}, {"nbf": NOW + 60}, {"exp": NOW + 0.5}):
        assert isinstance(await verify(hostile.token(claims(hostile, **changes)), issuers, URL, NOW), Verified), changes


async def test_a_token_ends_at_its_maximum_age_whatever_it_says_itself(
    hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    found = await verify(hostile.token(claims(hostile, exp=2**52)), issuers, URL, NOW)

    assert isinstance(found, Verified)
    assert found.expires_at == NOW - 10 + 24 * 3600


async def test_one_of_the_configured_audiences_is_enough(hostile: HostileIdentityProvider, http: httpx.AsyncClient) -> None:
    issuers = trusted_issuers([hostile.provider(bearerTokens={"audiences": ["api://one", "api://two"]})], {}, http)

    assert isinstance(await verify(hostile.token(claims(hostile, aud=["x", "api://two"])), issuers, URL, NOW), Verified)
    assert await verify(hostile.token(claims(hostile)), issuers, URL, NOW) is BadToken.AUDIENCE


@pytest.mark.requirement("AUT-2")
@pytest.mark.parametrize("typ", ["JWT", "jwt", None, "oauth-id-jag+jwt", "logout+jwt", "application/oauth-id-jag+jwt", ""])
async def test_a_token_of_another_type_is_no_access_token(
    typ: object, hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    assert await verify(hostile.token(claims(hostile), typ=typ), issuers, URL, NOW) is BadToken.TYPE


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_the_type_of_access_tokens_may_be_written_as_the_standard_lets_it(
    typ: str, hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    assert isinstance(await verify(hostile.token(claims(hostile), typ=typ), issuers, URL, NOW), Verified)


@pytest.mark.requirement("AUT-2")
async def test_no_signature_and_one_by_a_shared_secret_never_count(
    hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    assert hostile.key.public_key is not None
    pem = hostile.key.public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    hostile.keys.append({"kty": "oct", "k": encoded(pem), "kid": "oct"})
    text = claims(hostile)

    for algorithm in ("none", "None", "NONE", ""):
        assert await verify(hostile.token(text, sign=lambda _: b"", alg=algorithm), issuers, URL, NOW) is BadToken.ALGORITHM
    for kid in ("k1", "oct", None):
        forged = hostile.token(text, sign=lambda signed: hmac.digest(pem, signed, hashlib.sha256), alg="HS256", kid=kid)
        assert await verify(forged, issuers, URL, NOW) is BadToken.ALGORITHM
    assert await verify(hostile.token(text, sign=lambda _: b""), issuers, URL, NOW) is BadToken.SIGNATURE
    assert await verify(hostile.token(text, alg=None), issuers, URL, NOW) is BadToken.ALGORITHM
    assert await verify(hostile.token(text, alg="PS256"), issuers, URL, NOW) is BadToken.ALGORITHM


@pytest.mark.requirement("AUT-2")
@pytest.mark.parametrize("kid", ["unknown", "../../../dev/null", "' OR 1=1 --", "", "k" * 257, 7, ["k1"], {"a": 1}])
async def test_a_key_id_of_no_key_verifies_nothing(
    kid: object, hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    assert await verify(hostile.token(claims(hostile), kid=kid), issuers, URL, NOW) is BadToken.SIGNATURE


@pytest.mark.requirement("AUT-2")
async def test_keys_that_a_token_brings_along_are_neither_used_nor_fetched(
    hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    own, where = rsa_key("attacker"), f"{hostile.issuer}/attacker"
    hostile.replies["/attacker"] = always(text=json.dumps({"keys": [public(own)]}))
    for header in ({"jwk": public(own)}, {"jku": where}, {"x5u": where}, {"x5c": ["AAAA"]}):
        forged = hostile.token(claims(hostile), sign=rs256(own.private_key), **header)
        assert await verify(forged, issuers, URL, NOW) is BadToken.SIGNATURE
        stranger = hostile.token(claims(hostile), sign=rs256(own.private_key), kid="attacker", **header)
        assert await verify(stranger, issuers, URL, NOW) is BadToken.SIGNATURE
        assert isinstance(await verify(hostile.token(claims(hostile), **header), issuers, URL, NOW), Verified)

    assert hostile.asked["/attacker"] == 0


@pytest.mark.requirement("AUT-2")
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # which reads a short key and only complains
async def test_keys_for_encryption_and_short_ones_verify_nothing(
    hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    weak, listed = weak_rsa_key("weak")
    hostile.keys += [listed, public(rsa_key("encrypts"), use="enc")]
    forged = {"weak": rs256(weak), "encrypts": rs256(rsa_key("encrypts").private_key)}

    for kid, sign in forged.items():
        assert await verify(hostile.token(claims(hostile), sign=sign, kid=kid), issuers, URL, NOW) is BadToken.SIGNATURE


async def test_a_header_that_must_be_understood_is_not(hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]) -> None:
    headers: list[dict[str, Any]] = [{"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}]
    for header in headers:
        assert await verify(hostile.token(claims(hostile), **header), issuers, URL, NOW) is BadToken.MALFORMED


async def test_a_header_of_a_vendor_s_own_does_no_harm(hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]) -> None:
    token = hostile.token(claims(hostile), nonce="AAAA", vendor={"a": 1}, x5t="AAAA", x5c=["A" * 2000])

    assert isinstance(await verify(token, issuers, URL, NOW), Verified)


@pytest.mark.requirement("AUT-2")
async def test_what_is_no_token_is_refused_before_anybody_is_asked(
    hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]
) -> None:
    good = claims(hostile)
    twice = json.dumps(good)[:-1] + ', "sub": "mallory"}'
    wrong = [
        "", ".", "..", "...", "a.b.c", "a" * 20_000, "ä.ö.ü", "e30.e30.", "e30.e30", hostile.token("[]"), hostile.token("7"), hostile.token(twice),
        hostile.token('{"sub": NaN}'), hostile.token('{"a":' * 2000), hostile.token({**good, "pad": "x" * 200_000}), f"{hostile.token(good)}.x",
        hostile.token(good).replace(".", ".\n", 1), f" {hostile.token(good)}", hostile.token(hostile.token(good)),
    ]  # fmt: skip
    for text in wrong:
        assert await verify(text, issuers, URL, NOW) in {BadToken.MALFORMED, BadToken.ISSUER}, text[:50]

    assert hostile.asked.total() == 0


@pytest.mark.requirement("AUT-2")
async def test_a_token_of_a_stranger_s_issuer_causes_no_request(
    hostile: HostileIdentityProvider, http: httpx.AsyncClient, issuers: Mapping[str, TrustedIssuer]
) -> None:
    for issuer in (f"{hostile.issuer}/", hostile.issuer.upper(), f"{hostile.issuer}/tenant", "http://169.254.169.254", ""):
        assert await verify(hostile.token(claims(hostile, iss=issuer)), issuers, URL, NOW) is BadToken.ISSUER
    assert await verify(hostile.token(claims(hostile)), {}, URL, NOW) is BadToken.ISSUER
    assert hostile.asked.total() == 0


@pytest.mark.requirement("AUT-2")
async def test_without_the_issuer_s_keys_nobody_can_tell(hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]) -> None:
    hostile.replies[KEYS] = always(503)

    assert isinstance(await verify(hostile.token(claims(hostile)), issuers, URL, NOW), Unavailable)


@pytest.mark.parametrize("named", ["Ed25519", "EdDSA"])
async def test_ed25519_counts_under_both_of_its_names_where_it_is_allowed(
    named: str, hostile: HostileIdentityProvider, http: httpx.AsyncClient
) -> None:
    key = OKPKey.generate_key("Ed25519", {"kid": "ed"})
    hostile.keys.append(public(key))
    private = key.private_key
    assert isinstance(private, Ed25519PrivateKey)
    token = hostile.token(claims(hostile), sign=private.sign, alg=named, kid="ed")
    allowing = trusted_issuers([hostile.provider(algorithms=["Ed25519"])], {}, http)

    assert isinstance(await verify(token, allowing, URL, NOW), Verified)
    assert await verify(token, trusted_issuers([hostile.provider()], {}, http), URL, NOW) is BadToken.ALGORITHM


async def test_an_elliptic_key_counts_for_its_own_curve(hostile: HostileIdentityProvider, issuers: Mapping[str, TrustedIssuer]) -> None:
    key = ECKey.generate_key("P-256", {"kid": "ec"})
    hostile.keys.append(public(key))
    body = json.dumps(claims(hostile)).encode()
    token = jws.serialize_compact({"alg": "ES256", "kid": "ec", "typ": "at+jwt"}, body, key, algorithms=["ES256"])

    assert isinstance(await verify(token, issuers, URL, NOW), Verified)
    assert await verify(f"{token[:-4]}AAAA", issuers, URL, NOW) is BadToken.SIGNATURE


async def test_what_was_known_of_an_issuer_outlives_a_change_of_its_settings(
    hostile: HostileIdentityProvider, http: httpx.AsyncClient, issuers: Mapping[str, TrustedIssuer]
) -> None:
    await verify(hostile.token(claims(hostile)), issuers, URL, NOW)
    changed = trusted_issuers([hostile.provider("other")], issuers, http)

    found = await verify(hostile.token(claims(hostile)), changed, URL, NOW)

    assert isinstance(found, Verified)
    assert found.subject.user == "other:alice"
    assert (hostile.asked[KEYS], hostile.asked[DISCOVERY]) == (1, 1)
    assert trusted_issuers([], changed, http) == {}
