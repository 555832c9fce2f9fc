"""`requestState`: what a modern client sends back with its answers, sealed so that it is true. Pure.

Source: MCP 2026-07-28, "Multi Round-Trip Requests": a server must not trust the state that it gets back.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

import msgspec

MAX_LENGTH: Final = 64 * 1024
LIFETIME: Final = 900.0
"""Seconds in which answers are awaited."""


class RequestState(msgspec.Struct, frozen=True, array_like=True):
    """Where a call goes on."""

    gateway: str
    principal: str
    """Digest of the caller's subject."""
    call: str
    """Digest of the method, what it is asked for and the arguments: answers belong to one call."""
    installation: str
    """Uid."""
    expires_at: float
    """Seconds since the epoch."""
    handle: str | None = None
    """Of a call that waits at a server of an older era."""
    state: str | None = None
    """The server's own, of the newest era."""
    replica: str = ""
    """Where the call waits."""


@dataclass(frozen=True, slots=True)
class StateSeal:
    """Writes and reads states under a key derived from that of session ids; the key is in no repr."""

    _session_key: bytes

    def __repr__(self) -> str:
        return "StateSeal()"

    def seal(self, state: RequestState) -> str:
        """Return a state for the client."""
        contents = msgspec.json.encode(state)
        return base64.urlsafe_b64encode(self._mac(contents) + contents).decode()

    def open(self, text: str, now: float) -> RequestState | None:
        """Return the state that a client sent back; None where it is none of ours, or too old."""
        if len(text) > MAX_LENGTH:
            return None
        try:
            raw = base64.urlsafe_b64decode(text.encode())
            # The decoder passes over characters that it does not know: one state has one text.
            if base64.urlsafe_b64encode(raw).decode() != text or not hmac.compare_digest(raw[:32], self._mac(raw[32:])):
                return None
            state = msgspec.json.decode(raw[32:], type=RequestState)
        except (binascii.Error, ValueError, msgspec.DecodeError):
            return None
        return state if state.expires_at > now else None

    def _mac(self, contents: bytes) -> bytes:
        key = hmac.digest(self._session_key, b"request state v1", hashlib.sha256)
        return hmac.digest(key, contents, hashlib.sha256)
