"""Session ids of legacy clients: sealed tokens instead of state, so that any replica serves any session.

An id is `<contents>.<HMAC-SHA-256>`, both base64url, visible ASCII as the specification wants (2025-11-25, transports, "session
management"). Its contents are not secret; the seal keeps them true. A session is not authentication: the caller is identified at every
request, and an id of another caller or another gateway is no id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from wharfinger_crds.derived_key import derived_key

MAX_LENGTH: Final = 1024
CLOCK_SKEW: Final = 300
"""Seconds by which replicas' clocks may differ."""


class Session(msgspec.Struct, frozen=True, array_like=True):
    """What `initialize` agreed on."""

    gateway: str
    principal: str
    """Digest of the caller's subject."""
    version: str
    """The negotiated revision."""
    issued_at: int
    """Seconds since the epoch."""
    nonce: str
    """Random, so that two sessions differ."""
    replica: str = ""
    """Which replica holds the session's state; empty where there is but one."""
    bound: bool = False
    """It cannot go on without that: its client can be asked."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Writes and reads session ids under one key; the key is in no repr."""

    _key: bytes

    def __repr__(self) -> str:
        return "Seal()"

    def seal(self, session: Session) -> str:
        """Return the id of a session."""
        contents = _text(msgspec.json.encode(session))
        return f"{contents}.{_text(self._mac(contents))}"

    def open(self, text: str, now: float) -> Session | None:
        """Return the session of an id; None where the id is not one of ours, or comes from the future."""
        try:
            session = _opened(self._key, text)
        except (binascii.Error, ValueError, msgspec.DecodeError):
            return None
        return session if session.issued_at <= now + CLOCK_SKEW else None

    def _mac(self, contents: str) -> bytes:
        return _mac(self._key, contents)


@lru_cache(maxsize=10_000)
def _opened(key: bytes, text: str) -> Session:
    """Return the session of an id, whose seal is checked once while it is in use; raises ValueError, which is not kept."""
    contents, _, mac = text.partition(".")
    if len(text) > MAX_LENGTH or not text.isascii() or not hmac.compare_digest(mac, _text(_mac(key, contents))):
        raise ValueError("no seal of ours")
    return msgspec.json.decode(base64.urlsafe_b64decode(contents + "=" * (-len(contents) % 4)), type=Session)


def _mac(key: bytes, contents: str) -> bytes:
    return hmac.digest(key, contents.encode(), hashlib.sha256)


def session_key(root_key: bytes) -> bytes:
    """Return the key for session ids."""
    return derived_key(root_key, "gateway session id v1")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
