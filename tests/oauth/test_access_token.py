"""Access tokens of our own: nothing counts for one but what this platform signed, for as long as it said."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from joserfc.jwk import ECKey

from platform_value import NOW, SIGNING_KEY, URL, platform
from wharfinger_oauth.access_token import AccessToken

pytestmark = pytest.mark.requirement("AUT-1")

KEYS = platform().keys
TOKEN = AccessToken(URL, f"{URL}/v1/mcp/dev.tools", "okta:alice", "c", "code-a", NOW, NOW + 3600, "mcp")
CLAIMS: dict[str, Any] = msgspec.to_builtins(TOKEN)
HEADER: dict[str, Any] = {"alg": "ES256", "kid": "now", "typ": "at+jwt"}
STRANGER = ECKey.generate_key("P-256", {"kid": "now"})
Sign = Callable[[bytes], bytes]


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def es256(key: ECKey) -> Sign:
    """Return what signs with a private key."""
    private = key.private_key
    assert isinstance(private, ec.EllipticCurvePrivateKey)

    def sign(signed: bytes) -> bytes:
        pair = utils.decode_dss_signature(private.sign(signed, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes(32, "big") for number in pair)

    return sign


OWN = es256(SIGNING_KEY)


def made(claims: bytes | dict[str, Any] = CLAIMS, *, sign: Sign = OWN, **header: Any) -> str:
    """Return a JWT; None in the header leaves a field out."""
    fields = {name: value for name, value in {**HEADER, **header}.items() if value is not None}
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    text = f"{encoded(json.dumps(fields).encode())}.{encoded(payload)}"
    return f"{text}.{encoded(sign(text.encode()))}"


def test_a_token_says_what_was_signed() -> None:
    assert KEYS.verify(KEYS.sign(TOKEN), URL, NOW) == TOKEN
    assert KEYS.verify(made(), URL, NOW) == TOKEN


@pytest.mark.parametrize(
    ("now", "counts"), [(NOW - 61, False), (NOW - 60, True), (NOW + 3599, True), (NOW + 3600, False)]
)  # fmt: skip
def test_a_token_counts_to_its_end_and_at_a_replica_whose_clock_is_a_minute_behind(now: int, counts: bool) -> None:
    assert (KEYS.verify(KEYS.sign(TOKEN), URL, now) is not None) is counts


def test_neither_no_signature_nor_a_shared_secret_nor_a_strangers_key_counts() -> None:
    public = SIGNING_KEY.public_key
    assert public is not None
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for algorithm in ("none", "None", "", None, "HS256", "RS256", "ES384"):
        assert KEYS.verify(made(alg=algorithm), URL, NOW) is None
        assert KEYS.verify(made(alg=algorithm, sign=lambda _: b""), URL, NOW) is None
        assert KEYS.verify(made(alg=algorithm, sign=lambda text: hmac.digest(pem, text, hashlib.sha256)), URL, NOW) is None
    assert KEYS.verify(made(sign=lambda _: b""), URL, NOW) is None
    assert KEYS.verify(made(sign=es256(STRANGER)), URL, NOW) is None


@pytest.mark.parametrize(
    "header",
    [
        {"kid": None}, {"kid": "other"}, {"kid": "../../../dev/null"}, {"kid": "' OR 1=1 --"}, {"kid": 7}, {"kid": ["now"]},
        {"typ": None}, {"typ": "JWT"}, {"typ": "oauth-id-jag+jwt"}, {"typ": "application/at+jwt"},
        {"jwk": STRANGER.as_dict(private=False)}, {"jku": "https://evil.example/jwks"}, {"x5u": "https://evil.example/x5"},
        {"crit": ["exp"]}, {"crit": []}, {"zip": "DEF"}, {"cty": "JWT"}, {"b64": False, "crit": ["b64"]},
    ],
    ids=lambda header: ", ".join(f"{name}={value}" for name, value in header.items() if name != "jwk") or "jwk",
)  # fmt: skip
def test_a_header_that_is_not_ours_makes_it_nobodys_whoever_signed(header: dict[str, Any]) -> None:
    assert KEYS.verify(made(**header), URL, NOW) is None
    assert KEYS.verify(made(sign=es256(STRANGER), **header), URL, NOW) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://mcp.example/"}, {"iss": "https://mcp.example.evil"}, {"iss": "https://mcp.exampl"}, {"iss": [URL]}, {"iss": None},
        {"aud": [TOKEN.aud]}, {"aud": None}, {"exp": str(TOKEN.exp)}, {"exp": TOKEN.exp + 0.5}, {"exp": -1}, {"exp": None},
        {"iat": str(NOW)}, {"iat": NOW + 61}, {"iat": None}, {"gid": None}, {"gid": 1}, {"sub": None}, {"sub": ["okta:alice"]},
    ],
    ids=str,
)  # fmt: skip
def test_claims_that_are_not_what_they_must_be_are_nobodys(changes: dict[str, Any]) -> None:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    assert KEYS.verify(made(claims), URL, NOW) is None


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "..", "...", "a.b.c", made() + ".", made() + "=", made().replace(".", "..", 1), f" {made()}", made() + "\n", made()[:-2],
        made(KEYS.sign(TOKEN).encode()), made(b"{}"), made(b"[]"), made(b"\xff"), made({**CLAIMS, "x": "y" * 4096}), "a." * 100_000,
        "\N{SNOWMAN}.a.b",
    ],
    ids=range(18),
)  # fmt: skip
def test_what_is_no_token_is_nobodys(text: str) -> None:
    assert KEYS.verify(text, URL, NOW) is None
