"""Protocol revisions: which are spoken, and under which rules a message of a client is served.

Pure: no I/O, no transport. Modern revisions (2026-07-28) state version and capabilities in every request and repeat method
and name in headers; legacy ones (to 2025-11-25) agree on them once, in `initialize`. One endpoint serves both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from wharfinger_mcp import header, jsonrpc
from wharfinger_mcp.header import Fields
from wharfinger_mcp.jsonrpc import Batch, Malformed, Message, Notification, Request, Response

MODERN: Final = ("2026-07-28",)
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
SUPPORTED: Final = MODERN + LEGACY
"""Newest first. `server/discover` and -32022 list them all: a client that shares only a legacy revision then initializes."""

BATCHING: Final = "2025-03-26"
"""The one revision whose clients may send several messages in one body; also the one meant where no header names any."""

REMOVED: Final = frozenset({"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"})
"""Methods that modern revisions no longer have."""

ERROR_STATUS: Final[Mapping[int, int]] = MappingProxyType(
    {
        jsonrpc.PARSE_ERROR: 400,
        jsonrpc.INVALID_REQUEST: 400,
        jsonrpc.INVALID_PARAMS: 400,
        jsonrpc.METHOD_NOT_FOUND: 404,
        jsonrpc.HEADER_MISMATCH: 400,
        jsonrpc.MISSING_CLIENT_CAPABILITY: 400,
        jsonrpc.UNSUPPORTED_PROTOCOL_VERSION: 400,
    }
)
"""HTTP status of a JSON-RPC error towards a modern client, wherever it arose; any other code goes with 200."""


@dataclass(frozen=True, slots=True)
class Legacy:
    """Serve by the session's rules."""

    version: str | None
    """Of the header; None where it is absent: then what the session negotiated, else 2025-03-26."""


class Modern(msgspec.Struct, frozen=True):
    """Serve by what the request says of itself."""

    version: str
    capabilities: Mapping[str, Raw]
    client_info: Raw | None = None
    """Self-reported: for display only."""
    log_level: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """What to answer instead of serving, as HTTP status and JSON-RPC error."""

    status: int
    code: int
    message: str
    data: Mapping[str, object] | None = None


class _Meta(msgspec.Struct):
    version: str | UnsetType = msgspec.field(name="io.modelcontextprotocol/protocolVersion", default=UNSET)
    capabilities: dict[str, Raw] | UnsetType = msgspec.field(name="io.modelcontextprotocol/clientCapabilities", default=UNSET)
    client_info: Raw | UnsetType = msgspec.field(name="io.modelcontextprotocol/clientInfo", default=UNSET)
    log_level: str | None = msgspec.field(name="io.modelcontextprotocol/logLevel", default=None)


_meta = msgspec.json.Decoder(_Meta)
_VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"


class Routing(msgspec.Struct, frozen=True):
    """The header fields that say by which rules a message is served."""

    version: str | None
    method: str | None
    name: str | None
    twice: str | None
    """The first of them that is given more than once."""


def routing(fields: Fields) -> Routing:
    """Return the routing fields of a request."""
    version, method, name = (header.sole(fields, one) for one in (header.PROTOCOL_VERSION, header.METHOD, header.NAME))
    return Routing(version, method, name, header.repeated(fields, header.PROTOCOL_VERSION, header.METHOD, header.NAME))


def classify(fields: Routing, message: Message | Batch | Malformed) -> Legacy | Modern | Rejection:
    """Return under which rules a POST is served, or why it is not. First failure wins.

    1. The body is JSON-RPC → else 400 with the parser's code.
    2. No routing header is given twice → else 400 / -32020: two readers would disagree.
    3. The era: modern where the body's `_meta` names a version or the header names one that is not legacy; legacy otherwise,
       and for every `initialize` without such a `_meta`, which negotiates a version rather than using one.

    Legacy:

    4. The header, if given, names a served revision → else 400 / -32022.
    5. Several messages in one body only in 2025-03-26, and no `initialize` among them → else 400 / -32600.

    Modern:

    6. The body is one request or notification → else 400 / -32600.
    7. A notification needs only a served version (header rules for it are undefined) → else 400 / -32020 or -32022.
    8. `_meta` has version and client capabilities of the right type → else 400 / -32602.
    9. `MCP-Protocol-Version` equals the body's version → else 400 / -32020, before 10: a client that contradicts itself
       should learn that first.
    10. The version is served → else 400 / -32022, before 11: another revision may have other headers.
    11. `Mcp-Method` equals the method, and `Mcp-Name`, decoded, the name, URI or task id → else 400 / -32020.
    12. The method was not removed → else 404 / -32601.
    """
    if isinstance(message, Malformed):
        return Rejection(400, message.code, message.message)
    if fields.twice is not None:
        return _mismatch(f"{fields.twice} is given more than once")
    version = fields.version
    if _is_modern(version, message):
        return _classify_modern(fields, version, message)
    return _classify_legacy(version, message)


def _is_modern(version: str | None, message: Message | Batch) -> bool:
    if isinstance(message, Request | Notification):
        raw = message.params.get("_meta")
        meta = None if raw is None else jsonrpc.members(raw)
        if meta is not None and _VERSION_KEY in meta:
            return True
        if message.method == "initialize":
            return False
    # 2024-11-05 is legacy although not served over this transport.
    return version is not None and version not in LEGACY and version != "2024-11-05"


def _classify_legacy(version: str | None, message: Message | Batch) -> Legacy | Rejection:
    is_initialize = isinstance(message, Request) and message.method == "initialize"
    if version is not None and version not in LEGACY and not is_initialize:
        return _unsupported(version)
    if isinstance(message, Batch):
        if version not in (None, BATCHING):
            return Rejection(400, jsonrpc.INVALID_REQUEST, f"revision {version} has one message in a body")
        if any(isinstance(one, Request) and one.method == "initialize" for one in message.messages):
            return Rejection(400, jsonrpc.INVALID_REQUEST, "initialize cannot be part of a batch")
    return Legacy(version)


def _classify_modern(fields: Routing, version: str | None, message: Message | Batch) -> Modern | Rejection:
    if isinstance(message, Batch | Response):
        return Rejection(400, jsonrpc.INVALID_REQUEST, "the body must be one request or notification")
    meta = _read_meta(message)
    if isinstance(message, Notification):
        return _classify_notification(version, meta)
    if isinstance(meta, Rejection):
        return meta
    if meta.version is UNSET or meta.capabilities is UNSET:
        missing = "protocolVersion" if meta.version is UNSET else "clientCapabilities"
        return Rejection(400, jsonrpc.INVALID_PARAMS, f"params._meta needs io.modelcontextprotocol/{missing}")
    if version != meta.version:
        return _mismatch(f"{header.PROTOCOL_VERSION} {_stated(version)} and params._meta names {_shown(meta.version)}")
    if meta.version not in MODERN:
        return _unsupported(meta.version)
    fault = _header_fault(fields, message)
    if fault is not None:
        return _mismatch(fault)
    if message.method in REMOVED:
        return Rejection(404, jsonrpc.METHOD_NOT_FOUND, f"{message.method} is not part of revision {meta.version}")
    client_info = None if meta.client_info is UNSET else meta.client_info
    return Modern(meta.version, meta.capabilities, client_info, meta.log_level)


def _read_meta(message: Request | Notification) -> _Meta | Rejection:
    raw = message.params.get("_meta")
    if raw is None:
        return _Meta()
    try:
        return _meta.decode(raw)
    except msgspec.DecodeError as error:
        return Rejection(400, jsonrpc.INVALID_PARAMS, f"params._meta: {error}")


def _classify_notification(version: str | None, meta: _Meta | Rejection) -> Modern | Rejection:
    stated = UNSET if isinstance(meta, Rejection) else meta.version
    if version is not None and stated is not UNSET and version != stated:
        return _mismatch(f"{header.PROTOCOL_VERSION} {_stated(version)} and params._meta names {_shown(stated)}")
    named = version if version is not None else stated
    if named is UNSET or named not in MODERN:
        return _unsupported("" if named is UNSET else named)
    return Modern(named, {})


def _header_fault(fields: Routing, request: Request) -> str | None:
    method = fields.method
    if method != request.method:
        return f"{header.METHOD} {_stated(method)} and the body has {_shown(request.method)}"
    member = header.NAMED_BY.get(request.method)
    if member is None:
        return None
    name = jsonrpc.text_member(request.params, member)
    stated = fields.name
    if stated is None:
        return None if name is None else f"{header.NAME} is missing and the body has params.{member}"
    if not header.is_field_value(stated) or header.decode_value(stated) != name:
        return f"{header.NAME} does not match params.{member}"
    return None


def _mismatch(why: str) -> Rejection:
    return Rejection(400, jsonrpc.HEADER_MISMATCH, f"Header mismatch: {why}")


def _unsupported(requested: str) -> Rejection:
    data = {"supported": list(SUPPORTED), "requested": requested[:64]}
    return Rejection(400, jsonrpc.UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", data)


def _stated(value: str | None) -> str:
    return "is missing" if value is None else f"says {_shown(value)}"


def _shown(value: str) -> str:
    return repr(value[:64])
