"""Signed tokens of others (RFC 7515 compact, RFC 7519), as RFC 8725 wants them read.

Invariants: which algorithms and keys count is said by who reads, never by the token: `none` and HMAC cannot be allowed, `jku`, `x5u`, `jwk`
and `x5c` are ignored, any `crit` is refused, for no extension is understood here. Header and claims are JSON objects that name nothing twice.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError

from wharfinger_oauth.issuers import TrustedIssuer
from wharfinger_oauth.strict_json import Object, read_object
from wharfinger_oauth.unavailable import Unavailable

MAX_LENGTH: Final = 16 * 1024
LEEWAY: Final = 60
"""Seconds by which clocks may differ."""
_LATEST: Final = 2**53


class Unsigned(StrEnum):
    """Why a token's signature does not count."""

    ALGORITHM = "Algorithm"
    SIGNATURE = "Signature"
    """Or no key of that id."""


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token that was read, and not yet verified."""

    text: str = field(repr=False)
    header: Object = field(repr=False)
    claims: Object = field(repr=False)

    @property
    def issuer(self) -> str | None:
        """The `iss` claim."""
        return text_of(self.claims.get("iss"))

    @property
    def type(self) -> str | None:
        """The `typ` header in lower case, without the `application/` that may stand before it (RFC 7515 §4.1.9); None without one."""
        value = self.header.get("typ")
        return None if value is None else str(value).lower().removeprefix("application/")

    @property
    def algorithm(self) -> str | None:
        """The `alg` header, by its name of today."""
        value = self.header.get("alg")
        return _modern(value) if isinstance(value, str) else None

    @property
    def audiences(self) -> tuple[str, ...]:
        """The `aud` claim: none where it is something else than strings."""
        value = self.claims.get("aud")
        listed: list[Any] = value if isinstance(value, list) else [value]
        return tuple(listed) if all(isinstance(one, str) for one in listed) else ()

    def moment(self, name: str) -> float | None:
        """Return a NumericDate claim, in seconds since the epoch; None where it is absent or none."""
        value = self.claims.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
            return None
        return value


def read(text: str, limit: int = MAX_LENGTH) -> SignedToken | None:
    """Return the token; None where it is none."""
    parts = text.split(".", 3)
    if len(text) > limit or len(parts) != 3 or not text.isascii():
        return None
    header, claims = (_object(part) for part in parts[:2])
    if header is None or claims is None or "crit" in header:
        return None
    return SignedToken(text, header, claims)


async def signature_fault(token: SignedToken, trusted: TrustedIssuer) -> Unsigned | Unavailable | None:
    """Verify the signature by the issuer's keys; return what is wrong, None where nothing is."""
    algorithm, kid = token.algorithm, token.header.get("kid")
    if algorithm is None or algorithm not in trusted.provider.algorithms:
        return Unsigned.ALGORITHM
    if kid is not None and (not isinstance(kid, str) or len(kid) > 256):
        return Unsigned.SIGNATURE
    keys = await trusted.keys.fitting(kid, algorithm)
    if isinstance(keys, Unavailable):
        return keys
    return None if is_signed(token, algorithm, keys) else Unsigned.SIGNATURE


def is_signed(token: SignedToken, algorithm: str, keys: Iterable[Any]) -> bool:
    """Tell whether one of the keys signed a token with this algorithm and no other."""
    registry = _Registry(algorithms=[algorithm], strict_check_header=False)
    return any(_is_signed_by(token.text, key, registry) for key in keys)


def text_of(value: Any) -> str | None:
    """Return a claim that is a string and not empty."""
    return value if isinstance(value, str) and value else None


class _Registry(jws.JWSRegistry):
    max_header_length = MAX_LENGTH

    def get_alg(self, name: str) -> Any:
        return super().get_alg(_modern(name))


def _modern(algorithm: str) -> str:
    # What Ed25519 was called before RFC 9864, and most providers still call it.
    return "Ed25519" if algorithm == "EdDSA" else algorithm


def _is_signed_by(text: str, key: Any, registry: jws.JWSRegistry) -> bool:
    try:
        jws.deserialize_compact(text, key, registry=registry)
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _object(part: str) -> Object | None:
    try:
        return read_object(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    except binascii.Error:
        return None
