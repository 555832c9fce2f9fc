"""What travels through browsers and clients instead of being stored: values that only this platform can make and read.

A sealed value is `<purpose>1.<base64url(nonce, AES-256-GCM ciphertext)>`. Each purpose has a key of its own (HKDF-SHA256 of the root key,
RFC 5869), and purpose and bound text are authenticated with it, so that a value of one purpose, or of one client, opens for no other.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from typing import Final, Self, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wharfinger_crds.derived_key import derived_key

MAX_LENGTH: Final = 4096
_NONCE: Final = 12
_Value = TypeVar("_Value", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals and opens values of one purpose."""

    purpose: str
    """Lower-case letters; it stands before the value for all to see."""
    _cipher: AESGCM = field(repr=False)

    @classmethod
    def of(cls, root_key: bytes, purpose: str) -> Self:
        """Return the seal of a purpose."""
        return cls(purpose, AESGCM(derived_key(root_key, f"oauth {purpose} v1")))

    def seal(self, value: msgspec.Struct, bound: str = "") -> str:
        """Return a sealed value that opens only together with `bound`."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._cipher.encrypt(nonce, msgspec.msgpack.encode(value), self._context(bound))
        return f"{self.purpose}1.{base64.urlsafe_b64encode(nonce + sealed).rstrip(b'=').decode()}"

    def open(self, text: str, kind: type[_Value], bound: str = "") -> _Value | None:
        """Return the value; None where it was sealed for another purpose, bound to another text, made by others, or is of another kind."""
        mark, _, contents = text.partition(".")
        if len(text) > MAX_LENGTH or mark != f"{self.purpose}1" or not contents.isascii():
            return None
        try:
            data = base64.b64decode(contents + "=" * (-len(contents) % 4), altchars=b"-_", validate=True)
            return msgspec.msgpack.decode(self._cipher.decrypt(data[:_NONCE], data[_NONCE:], self._context(bound)), type=kind)
        except (binascii.Error, ValueError, InvalidTag, msgspec.DecodeError):
            return None

    def _context(self, bound: str) -> bytes:
        return f"{self.purpose}|{bound}".encode()
