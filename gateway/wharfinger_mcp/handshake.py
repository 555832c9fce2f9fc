"""Getting to know a server: its era, and in the legacy era a session.

Source: specification 2026-07-28, "Backward Compatibility" of versioning and of streamable HTTP; 2025-11-25, lifecycle.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import msgspec

from wharfinger_mcp import envelope, jsonrpc, revision
from wharfinger_mcp.envelope import Era, Identity
from wharfinger_mcp.errors import NotMcpError, NotStreamableError, ProtocolError
from wharfinger_mcp.exchange import Outcome
from wharfinger_mcp.jsonrpc import Id, Response
from wharfinger_mcp.notification import INITIALIZED

Post = Callable[[bytes, Id | None, Mapping[str, str]], Awaitable[Outcome]]
"""Sends a body with an id and the protocol's header fields."""

ACCEPTED: Final = (*revision.LEGACY, "2024-11-05")
"""Legacy revisions a server may settle on. The oldest had another transport, but servers answer it over this one too."""

_FINAL_STATUS: Final = (401, 403, 407, 429, 502, 503, 504)
"""Answers to a probe that say nothing of the era and that the handshake would get as well."""
_OLDER_STATUS: Final = (400, 404, 405)
"""Answers to `initialize` of servers that speak HTTP+SSE instead (2025-11-25, transports, "Backwards Compatibility")."""
_SESSION_ID = re.compile(r"[\x21-\x7e]{1,1024}")
_ID: Final = 0


@dataclass(frozen=True)
class ServerInfo:
    """What a server says it is: for display only."""

    name: str = ""
    version: str = ""
    title: str | None = None


@dataclass(frozen=True)
class Handshake:
    """What is known of a server, and the session with it."""

    era: Era
    protocol_version: str
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    server_info: ServerInfo = field(default_factory=ServerInfo)
    instructions: str | None = None
    session_id: str | None = field(default=None, repr=False)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The protocol's header fields of a message in a legacy session."""
        return envelope.legacy_headers(self.protocol_version, self.session_id)


class _Implementation(msgspec.Struct):
    name: str = ""
    version: str = ""
    title: str | None = None


class _ResultMeta(msgspec.Struct):
    server_info: _Implementation | None = msgspec.field(name=envelope.SERVER_INFO_KEY, default=None)


class _Result(msgspec.Struct, rename="camel"):
    """What DiscoverResult and InitializeResult have between them."""

    supported_versions: list[str] = []
    protocol_version: str = ""
    capabilities: dict[str, Any] = {}
    server_info: _Implementation | None = None
    instructions: str | None = None
    meta: _ResultMeta | None = msgspec.field(name="_meta", default=None)


class _UnsupportedVersion(msgspec.Struct):
    supported: list[str] = []


async def shake_hands(post: Post, identity: Identity, era: Era | None = None) -> Handshake:
    """Return what a server is, asking the modern way first unless it is known to be legacy.

    Raises UpstreamError, NotStreamableError where the server may speak HTTP+SSE.
    """
    if era is not Era.LEGACY:
        modern = await _discover(post, identity)
        if modern is not None:
            return modern
    return await _initialize(post, identity)


async def _discover(post: Post, identity: Identity) -> Handshake | None:
    """Return a modern server's own words; None where nothing shows that it is modern.

    The verdict never hangs on one code: whatever is neither a discovery nor a modern error speaks for the handshake.
    """
    version = revision.MODERN[0]
    for _ in range(2):
        params = envelope.modern_params({}, version, identity)
        body = jsonrpc.request_bytes(_ID, "server/discover", params)
        try:
            outcome = await post(body, _ID, envelope.modern_headers(version, "server/discover", params))
        except (NotMcpError, ProtocolError):
            return None
        offered = _offered(outcome)
        if offered is None:
            break
        # Asked for at once, even if it is the one refused: a server may have been replaced by a newer one between the two.
        version = offered
    if outcome.response is None:
        if outcome.refusal is not None and outcome.status in _FINAL_STATUS:
            raise outcome.refusal
        return None
    if outcome.response.error is not None:
        _refuse_incompatible(outcome.response.error)
    result = _read(outcome.response)
    if result is None or version not in result.supported_versions:
        return None
    named = result.meta.server_info if result.meta is not None else None
    return Handshake(Era.MODERN, version, result.capabilities, _server_info(named or result.server_info), result.instructions)


def _offered(outcome: Outcome) -> str | None:
    """Return the newest modern revision of ours that a server offers instead of the one it refuses."""
    error = outcome.response.error if outcome.response is not None else None
    if error is None or error.code != jsonrpc.UNSUPPORTED_PROTOCOL_VERSION:
        return None
    return next((version for version in revision.MODERN if version in _supported(error)), None)


def _refuse_incompatible(error: jsonrpc.ErrorObject) -> None:
    """Raise ProtocolError where an error shows a modern server that we cannot talk to."""
    if error.code in (jsonrpc.HEADER_MISMATCH, jsonrpc.MISSING_CLIENT_CAPABILITY):
        raise ProtocolError(
            f"the server refused server/discover with error {error.code}: does something on the way remove or change MCP-* headers?"
        )
    if error.code == jsonrpc.UNSUPPORTED_PROTOCOL_VERSION:
        supported = _supported(error)
        if supported and not any(version in ACCEPTED for version in supported):
            raise ProtocolError(f"the server speaks none of the protocol revisions {', '.join(revision.SUPPORTED)}")


async def _initialize(post: Post, identity: Identity) -> Handshake:
    asked = revision.LEGACY[0]
    params = {
        "protocolVersion": jsonrpc.raw_json(asked),
        "capabilities": jsonrpc.raw_json(identity.capabilities),
        "clientInfo": jsonrpc.raw_json(identity.client_info()),
    }
    outcome = await post(jsonrpc.request_bytes(_ID, "initialize", params), _ID, {})
    if outcome.response is None:
        if outcome.refusal is not None and outcome.status in _OLDER_STATUS:
            raise NotStreamableError(outcome.refusal)
        raise outcome.refusal or NotMcpError("the server does not answer initialize")
    if outcome.response.error is not None:
        raise ProtocolError(f"the server refused initialize with error {outcome.response.error.code}")
    result = _read(outcome.response)
    if result is None:
        raise ProtocolError("the result of initialize has another shape than the specification's")
    if result.protocol_version not in ACCEPTED:
        raise ProtocolError(f"the server speaks none of the protocol revisions {', '.join(revision.SUPPORTED)}")
    session_id = outcome.session_id
    if session_id is not None and _SESSION_ID.fullmatch(session_id) is None:
        raise ProtocolError("the session id has characters other than visible ASCII, or more than 1024")
    initialized = await post(jsonrpc.notification_bytes(INITIALIZED), None, envelope.legacy_headers(result.protocol_version, session_id))
    if initialized.refusal is not None:
        raise initialized.refusal
    server_info = _server_info(result.server_info)
    return Handshake(Era.LEGACY, result.protocol_version, result.capabilities, server_info, result.instructions, session_id)


def _read(response: Response) -> _Result | None:
    try:
        return msgspec.json.decode(jsonrpc.raw_json(response.result), type=_Result)
    except (msgspec.DecodeError, RecursionError):
        return None


def _supported(error: jsonrpc.ErrorObject) -> list[str]:
    try:
        return msgspec.json.decode(error.data or b"", type=_UnsupportedVersion).supported
    except (msgspec.DecodeError, RecursionError):
        return []


def _server_info(named: _Implementation | None) -> ServerInfo:
    if named is None:
        return ServerInfo()
    return ServerInfo(named.name[:256], named.version[:256], None if named.title is None else named.title[:256])
