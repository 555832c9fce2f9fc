"""Access tokens: JWTs of our own for one gateway (RFC 9068), verified without asking anybody.

They name the grant that they come from, and nothing that changes: groups and teams are looked up at each call.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from wharfinger_crds.signing_keys import SigningKey, signing_key

ALGORITHM: Final = "ES256"
TYPE: Final = "at+jwt"
MAX_LENGTH: Final = 4096
SKEW: Final = 60
"""Seconds by which replicas' clocks may differ."""


class AccessToken(msgspec.Struct, frozen=True):
    """What an access token says; names are the claims' (RFC 9068 §2.2, RFC 7519 §4.1)."""

    iss: str
    aud: str
    """The gateway's URL, and nothing else."""
    sub: str
    """The user."""
    client_id: str
    gid: str
    """The McpGrant."""
    iat: int
    exp: int
    scope: str
    jti: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(12))


class AccessTokenKeys:
    """Signs and verifies; a value of its keys."""

    __slots__ = ("_documents", "_keys")

    def __init__(self, documents: Sequence[SigningKey]) -> None:
        self._documents = tuple(documents)
        self._keys: dict[str, ECKey] = {one.jwk["kid"]: ECKey.import_key(dict(one.jwk)) for one in documents}

    def __eq__(self, other: object) -> bool:
        """Tell whether the keys are the same."""
        return isinstance(other, AccessTokenKeys) and self._documents == other._documents

    def __hash__(self) -> int:
        """Return a hash of the keys' names."""
        return hash(tuple(self._keys))

    def sign(self, token: AccessToken) -> str:
        """Return the JWT."""
        kid = signing_key(self._documents, token.iat).jwk["kid"]
        header = {"alg": ALGORITHM, "kid": kid, "typ": TYPE}
        return jws.serialize_compact(header, msgspec.json.encode(token), self._keys[kid], algorithms=[ALGORITHM])

    def verify(self, text: str, issuer: str, now: float) -> AccessToken | None:
        """Return what a token says; None where it is not one of ours that counts at the moment."""
        if len(text) > MAX_LENGTH:
            return None
        try:
            found = jws.extract_compact(text.encode("ascii"))
            header = found.headers()
            key = self._keys.get(header["kid"]) if header.keys() == {"alg", "kid", "typ"} and header["typ"] == TYPE else None
            if key is None or header["alg"] != ALGORITHM or not jws.validate_compact(found, key, algorithms=[ALGORITHM]):
                return None
            token = msgspec.json.decode(found.payload, type=AccessToken)
        except (JoseError, ValueError, KeyError, TypeError, msgspec.DecodeError):
            return None
        return token if token.iss == issuer and token.iat <= now + SKEW and now < token.exp else None

    def public(self) -> Mapping[str, Any]:
        """Return the JWK set for others (RFC 7517 §5)."""
        return {"keys": [{**key.as_dict(private=False), "alg": ALGORITHM, "use": "sig"} for key in self._keys.values()]}
