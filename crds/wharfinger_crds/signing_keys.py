"""The keys that access tokens are signed with: made and rotated by the operator, used by every gateway.

A document lists private keys with the moment from which each may sign; the newest of those signs, all others still verify. A new key is
published an hour before its time, so that whoever has fetched the key set knows it when it comes into use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

ROTATION: Final = 30 * 86_400
"""Seconds for which a key signs."""
NOTICE: Final = 3_600
"""Seconds for which a key is published before it signs."""
MAX_KEYS: Final = 8


class SigningKey(msgspec.Struct, frozen=True, rename="camel"):
    """One private key."""

    jwk: Mapping[str, Any]
    """A private JWK (RFC 7517) of P-256 with its `kid`."""
    not_before: int
    """Seconds since the epoch."""

    def __repr__(self) -> str:
        """Return a text without the key."""
        return f"SigningKey({self.jwk.get('kid')!r}, {self.not_before})"


class MalformedKeysError(ValueError):
    """The document is not one; the message repeats nothing of it."""


def read_signing_keys(text: bytes) -> tuple[SigningKey, ...]:
    """Return the keys of a document, the oldest first. Raises MalformedKeysError."""
    try:
        keys = msgspec.json.decode(text, type=tuple[SigningKey, ...])
    except msgspec.DecodeError:
        raise MalformedKeysError("is no list of signing keys") from None
    good = all(key.jwk.get("kty") == "EC" and key.jwk.get("crv") == "P-256" and key.jwk.get("kid") and key.jwk.get("d") for key in keys)
    if not keys or len(keys) > MAX_KEYS or not good:
        raise MalformedKeysError(f"is no list of one to {MAX_KEYS} private P-256 keys with kid")
    return tuple(sorted(keys, key=lambda key: key.not_before))


def write_signing_keys(keys: Sequence[SigningKey]) -> bytes:
    """Return the document."""
    return msgspec.json.encode(list(keys))


def signing_key(keys: Sequence[SigningKey], now: float) -> SigningKey:
    """Return the key that signs at a moment: the newest whose time has come, else the oldest."""
    return next((key for key in reversed(keys) if key.not_before <= now), keys[0])


def needs_another(keys: Sequence[SigningKey], now: float) -> bool:
    """Tell whether the time of the newest key ends within the notice."""
    return not keys or keys[-1].not_before + ROTATION - NOTICE <= now


def still_needed(keys: Sequence[SigningKey], now: float, lifetime: float) -> tuple[SigningKey, ...]:
    """Return the keys without those that stopped signing longer ago than a token lives, in seconds."""
    ends = [following.not_before for following in keys[1:]] + [float("inf")]
    return tuple(key for key, end in zip(keys, ends, strict=True) if end + lifetime + NOTICE > now)
