"""Clients that prove themselves with a signature: for this platform, for minutes, once."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from joserfc import jwk, jws, jwt

from wharfinger_oauth.client import Client
from wharfinger_oauth.client_assertion import ASSERTION_TYPE, MAX_IDS, MAX_LENGTH, Assertions, claimed_client
from wharfinger_oauth.client_credentials import credentials
from wharfinger_oauth.request import Request

pytestmark = pytest.mark.requirement("AUT-1")

NOW = 1_790_000_000
ISSUER, ENDPOINT = "https://mcp.example", "https://mcp.example/oauth/token"
ID = "https://agents.example/client.json"
EC = jwk.ECKey.generate_key("P-256", {"kid": "ec"})
OTHER = jwk.ECKey.generate_key("P-256", {"kid": "ec"})
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})
OKP = jwk.OKPKey.generate_key("Ed25519", {"kid": "okp"})
CLAIMS: dict[str, Any] = {"iss": ID, "sub": ID, "aud": ENDPOINT, "exp": NOW + 300, "iat": NOW, "jti": "one"}


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def client_with(*keys: Any, id: str = ID) -> Client:  # noqa: A002 - the parameter's own name
    public = [key if isinstance(key, dict) else key.as_dict(private=False) for key in keys]
    return Client(id, "Agent", (), "Document", "private_key_jwt", keys={"keys": public})


CLIENT = client_with(EC, RSA, OKP)


def signed(
    changed: Mapping[str, Any] | None = None,
    key: Any = EC,
    alg: str = "ES256",
    header: Mapping[str, Any] | None = None,
    without: Iterable[str] = (),
) -> str:
    claims = {name: value for name, value in (CLAIMS | dict(changed or {})).items() if name not in without}
    algorithms = ["ES256", "ES384", "RS256", "PS256", "Ed25519", "EdDSA", "HS256", "none"]
    head = {"alg": alg, "kid": getattr(key, "kid", None) or "ec", **(header or {})}
    return jwt.encode(head, claims, key, algorithms=algorithms, registry=None)


def is_accepted(text: str, client: Client = CLIENT, assertions: Assertions | None = None) -> bool:
    return (assertions or Assertions([ISSUER, ENDPOINT], Clock())).accepts(text, client)


@pytest.mark.parametrize(("key", "alg"), ((EC, "ES256"), (RSA, "RS256"), (RSA, "PS256"), (OKP, "Ed25519"), (OKP, "EdDSA")))
@pytest.mark.filterwarnings("ignore:EdDSA")
@pytest.mark.parametrize("audience", (ISSUER, ENDPOINT, [ENDPOINT]))
def test_a_fresh_assertion_for_this_platform_proves_its_client(key: Any, alg: str, audience: object) -> None:
    assert is_accepted(signed({"aud": audience}, key, alg))


def test_a_broken_or_unknown_key_beside_it_takes_no_other_with_it() -> None:
    strange: list[Any] = [{"kty": "RSA", "n": "a"}, {"kty": "EC", "crv": "P-999", "x": "a", "y": "b"}, {"kty": "x"}, {}, {"kty": ["EC"]}]
    assert is_accepted(signed(), client_with(*strange, EC))


@pytest.mark.parametrize(
    "changed",
    (
        {"iss": "https://evil.example/client.json"},
        {"sub": "https://evil.example/client.json"},
        {"iss": None},
        {"aud": "https://other.example/oauth/token"},
        {"aud": f"{ISSUER}/"},
        {"aud": ISSUER.upper()},
        {"aud": [ISSUER, ENDPOINT]},
        {"aud": []},
        {"aud": [[ISSUER]]},
        {"aud": {"a": 1}},
        {"exp": NOW - 61},
        {"exp": NOW + 3600},
        {"exp": str(NOW + 300)},
        {"exp": True},
        {"exp": 1e400},
        {"exp": [NOW]},
        {"iat": NOW + 120},
        {"nbf": NOW + 120},
        {"nbf": "now"},
        {"jti": ""},
        {"jti": 3},
        {"jti": "j" * 257},
    ),
    ids=str,
)
def test_an_assertion_that_says_anything_else_proves_nothing(changed: dict[str, Any]) -> None:
    # Signed as text, since the library would not write some of these.
    text = jws.serialize_compact({"alg": "ES256", "kid": "ec"}, json.dumps(CLAIMS | changed), EC, ["ES256"])
    assert not is_accepted(text)


@pytest.mark.parametrize("name", ("iss", "sub", "aud", "exp", "jti"))
def test_nothing_of_an_assertion_may_be_missing(name: str) -> None:
    assert not is_accepted(signed(without=[name]))


def test_a_clock_may_differ_by_a_minute() -> None:
    assert is_accepted(signed({"exp": NOW - 59}))
    assert is_accepted(signed({"iat": NOW + 59, "nbf": NOW + 59, "exp": NOW + 659}))


@pytest.mark.filterwarnings("ignore:Key size")
def test_only_the_clients_own_keys_and_signatures_count() -> None:
    secret = jwk.OctKey.import_key("0123456789abcdef0123456789abcdef")
    weak = jwk.RSAKey.generate_key(1024, {"kid": "weak"}, auto_kid=False)
    encryption = EC.as_dict(private=False) | {"use": "enc"}
    whole = signed()
    header, claims, signature = whole.split(".")
    assert is_accepted(whole)
    assert not is_accepted(signed(key=OTHER))
    assert not is_accepted(signed(key=secret, alg="HS256"))
    assert not is_accepted(signed(key=secret, alg="HS256"), client_with(secret.as_dict() | {"kid": "ec"}))
    assert not is_accepted(signed(header={"kid": "unknown"}))
    assert not is_accepted(signed(key=OTHER, header={"jwk": OTHER.as_dict(private=False)}))
    assert not is_accepted(signed(key=weak, alg="RS256"), client_with(weak))
    assert not is_accepted(signed(), client_with(encryption))
    assert not is_accepted(f"{header}.{claims}.")
    assert not is_accepted(f"eyJhbGciOiJub25lIn0.{claims}.")
    assert not is_accepted(f"{header}.{claims}.{signature[::-1]}")
    assert not is_accepted(signed(), Client(ID, "Agent", (), "Document", "private_key_jwt"))
    for text in (
        "",
        ".",
        "..",
        "a.b.c",
        "....",
        f"{header}.{claims}",
        "é.é.é",
        "[]." * 2,
        signed({"x": "a" * MAX_LENGTH}),
        "a" * 1024 * 1024,
    ):
        assert not is_accepted(text)
        assert claimed_client(text) is None or len(text) > 1000


def test_an_assertion_counts_once_until_it_has_expired() -> None:
    clock = Clock()
    assertions = Assertions([ENDPOINT], clock)
    text = signed()
    assert assertions.accepts(text, CLIENT)
    assert not assertions.accepts(text, CLIENT)
    assert not assertions.accepts(signed({"exp": NOW + 100}), CLIENT)
    clock.now += 359
    assert not assertions.accepts(text, CLIENT)
    assert assertions.accepts(signed({"jti": "two", "exp": NOW + 600}), CLIENT)
    clock.now += 2
    assert assertions.accepts(signed({"exp": NOW + 600}), CLIENT)


def test_the_same_id_of_another_client_is_another_one() -> None:
    assertions, other = Assertions([ENDPOINT], Clock()), "https://others.example/client.json"
    assert assertions.accepts(signed(), CLIENT)
    assert assertions.accepts(signed({"iss": other, "sub": other}), client_with(EC, id=other))


def test_what_is_remembered_of_a_client_is_bounded_and_a_full_memory_takes_nothing_more_of_that_client_only() -> None:
    clock, other = Clock(), "https://others.example/client.json"
    assertions = Assertions([ENDPOINT], clock)
    for number in range(MAX_IDS):
        assert assertions.accepts(signed({"jti": f"j{number}"}), CLIENT)
    assert not assertions.accepts(signed({"jti": "more"}), CLIENT)
    assert assertions.accepts(signed({"iss": other, "sub": other}), client_with(EC, id=other))
    clock.now += 361
    assert assertions.accepts(signed({"jti": "more", "exp": NOW + 600}), CLIENT)


def test_whose_assertion_it_is_may_be_said_beside_it_or_in_it_but_its_type_is_needed() -> None:
    text = signed()
    typed = {"client_assertion": text, "client_assertion_type": ASSERTION_TYPE}
    for form, found in (
        (typed, ID),
        (typed | {"client_id": ID}, ID),
        (typed | {"client_id": "other"}, "other"),
        ({"client_assertion": text, "client_id": ID}, None),
        (typed | {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, None),
        (typed | {"client_secret": "s3cret"}, None),
    ):
        given = credentials(Request("POST", "/oauth/token", form=form))
        assert (given.client_id if given else None) == found
        assert text not in repr(given)
