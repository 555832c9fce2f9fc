"""The two protocol eras, and which of them a caller speaks. Pure.

Legacy is every revision that begins with `initialize`; modern (2026-07-28) has no handshake and repeats version, identity and
capabilities in each request's `_meta`, and version, method and name in its headers.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from wharfinger_bridge.jsonrpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    UNSUPPORTED_PROTOCOL_VERSION,
    Json,
    Notification,
    Refusal,
    Request,
)

MODERN_VERSION: Final = "2026-07-28"
LEGACY_VERSIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
"""What is offered to callers, newest first."""
SERVER_LEGACY_VERSIONS: Final = (*LEGACY_VERSIONS, "2024-11-05")
"""What a server may settle on: over stdio, these revisions frame their messages alike."""

META_PREFIX: Final = "io.modelcontextprotocol/"
VERSION_KEY: Final = f"{META_PREFIX}protocolVersion"
CAPABILITIES_KEY: Final = f"{META_PREFIX}clientCapabilities"

_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_BASE64 = re.compile(r"=\?base64\?(.*)\?=")

_UNSERVED = frozenset({"logging/setLevel", "resources/subscribe", "resources/unsubscribe"})
"""Where one process serves many callers, none of them sets its log level or chooses of which resources it tells."""


class Era(Enum):
    """How a peer speaks; the value holds the methods that a caller of this era may not use."""

    LEGACY = _UNSERVED | {"server/discover", "subscriptions/listen"}
    MODERN = _UNSERVED | {"initialize", "ping"}

    def serves(self, method: str, *, is_own: bool = False) -> bool:
        """Tell whether a caller of this era may use a method; `is_own`: of a server that is the caller's alone."""
        return method not in self.value or (is_own and method in _UNSERVED)


def caller_era(headers: Mapping[str, str], message: Request | Notification) -> Era | Refusal:
    """Return the era of a caller, or how its request contradicts itself (MCP 2026-07-28, transports; 2025-11-25, transports)."""
    header = headers.get("mcp-protocol-version")
    meta = message.params.get("_meta")
    enveloped = isinstance(meta, dict) and VERSION_KEY in meta
    if not enveloped and (header is None or header in SERVER_LEGACY_VERSIONS):
        return Era.LEGACY
    if isinstance(message, Notification):
        return Era.MODERN
    return _envelope_fault(meta if isinstance(meta, dict) else {}, headers, message) or Era.MODERN


def _envelope_fault(meta: Json, headers: Mapping[str, str], request: Request) -> Refusal | None:
    if missing := [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]:
        return Refusal(400, INVALID_PARAMS, f"params._meta lacks {', '.join(missing)}", request.id)
    version = meta[VERSION_KEY]
    if headers.get("mcp-protocol-version") != version:
        return _mismatch("MCP-Protocol-Version", f"params._meta[{VERSION_KEY!r}]", request)
    if headers.get("mcp-method") != request.method:
        return _mismatch("Mcp-Method", "method", request)
    key = _NAMED_BY.get(request.method, "")
    if key in request.params and _decoded(headers.get("mcp-name")) != request.params[key]:
        return _mismatch("Mcp-Name", f"params.{key}", request)
    if version != MODERN_VERSION:
        data = {"supported": [MODERN_VERSION], "requested": version}
        return Refusal(400, UNSUPPORTED_PROTOCOL_VERSION, f"unsupported protocol version; supported: {MODERN_VERSION}", request.id, data)
    if not isinstance(meta[CAPABILITIES_KEY], dict):
        return Refusal(400, INVALID_PARAMS, f"{CAPABILITIES_KEY} must be an object", request.id)
    return None


def _mismatch(header: str, member: str, request: Request) -> Refusal:
    return Refusal(400, HEADER_MISMATCH, f"the header {header} differs from {member} in the body", request.id)


def _decoded(value: str | None) -> Any:
    """Return a header value with its base64 form undone; a corrupt one equals nothing."""
    found = _BASE64.fullmatch(value or "")
    if found is None:
        return value
    try:
        return base64.b64decode(found[1], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
