"""MCP's own header fields, and how a name is written into one.

Pure. Source: specification 2026-07-28, transports/streamable-http, "Request Metadata" and "Value Encoding".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Protocol

PROTOCOL_VERSION: Final = "MCP-Protocol-Version"
METHOD: Final = "Mcp-Method"
NAME: Final = "Mcp-Name"
SESSION_ID: Final = "Mcp-Session-Id"
LAST_EVENT_ID: Final = "Last-Event-ID"
PARAM_PREFIX: Final = "Mcp-Param-"

NAMED_BY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tools/call": "name",
        "prompts/get": "name",
        "resources/read": "uri",
        "tasks/get": "taskId",
        "tasks/update": "taskId",
        "tasks/cancel": "taskId",
    }
)
"""Method to the member of params that `Mcp-Name` repeats."""

KNOWN_FIELD_BYTES: Final = 128
"""Up to which a field of an answer is remembered as it was read: servers repeat theirs."""

_PLAIN = re.compile(r"[\x20-\x7e]*")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*")
_SENTINEL = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)


class Fields(Protocol):
    """Header fields of a request, looked up in any case; a multidict is one."""

    def getall(self, key: str, default: list[str]) -> list[str]:
        """Return every value of a field."""


def sole(fields: Fields, name: str) -> str | None:
    """Return the value of a field without surrounding blanks, None where it is absent; call `repeated` first."""
    values = fields.getall(name, [])
    return values[0].strip(" \t") if values else None


def repeated(fields: Fields, *names: str) -> str | None:
    """Return the first of the names that is given more than once: two readers might take different values."""
    return next((name for name in names if len(fields.getall(name, [])) > 1), None)


def is_field_value(value: str) -> bool:
    """Whether only visible ASCII, space and tab occur (RFC 9110 section 5.5)."""
    return _FIELD_VALUE.fullmatch(value) is not None


def encode_value(value: str) -> str:
    """Return the value as it stands in a header: plain where it survives the way, else in the Base64 sentinel."""
    looks_encoded = value.startswith("=?base64?") and value.endswith("?=")
    if _PLAIN.fullmatch(value) and value == value.strip() and not looks_encoded:
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def decode_value(value: str) -> str | None:
    """Return what a header's value stands for; None where a sentinel holds no canonical Base64 of UTF-8."""
    match = _SENTINEL.fullmatch(value)
    if match is None:
        return value
    try:
        decoded = base64.b64decode(match[1], validate=True)
        text = decoded.decode()
    except (binascii.Error, ValueError):
        return None
    return text if base64.b64encode(decoded).decode() == match[1] else None


def read_field(name: bytes, value: bytes) -> tuple[str, str]:
    """Return a field of an answer: its name in lower case, and its value."""
    return _known_field(name, value) if len(name) + len(value) <= KNOWN_FIELD_BYTES else _field(name, value)


def _field(name: bytes, value: bytes) -> tuple[str, str]:
    return name.decode("latin-1").lower(), value.decode("latin-1").strip()


_known_field = lru_cache(maxsize=512)(_field)
