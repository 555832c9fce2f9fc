"""Keys for one purpose each, derived from the platform's root key."""

from __future__ import annotations

import functools
import hashlib
import hmac


@functools.lru_cache(maxsize=64)
def derived_key(root_key: bytes, purpose: str) -> bytes:
    """Return 32 bytes for one purpose (HKDF-SHA256 with one block, RFC 5869)."""
    extracted = hmac.digest(b"wharfinger", root_key, hashlib.sha256)
    return hmac.digest(extracted, purpose.encode() + b"\x01", hashlib.sha256)
