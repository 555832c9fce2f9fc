"""What a request to a server says besides its method and params: identity in `_meta`, and headers, by era.

Pure. Headers are derived from the message that is really sent, never copied from the one that came in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Final

from wharfinger_mcp import header, jsonrpc
from wharfinger_mcp.jsonrpc import Params

VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
CLIENT_INFO_KEY: Final = "io.modelcontextprotocol/clientInfo"
CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL_KEY: Final = "io.modelcontextprotocol/logLevel"
SERVER_INFO_KEY: Final = "io.modelcontextprotocol/serverInfo"

ASKABLE: Final = ("elicitation", "sampling", "roots")
"""Capabilities with which a client says that servers may ask it."""
_OF_THE_REQUEST: Final = (VERSION_KEY, CLIENT_INFO_KEY, CAPABILITIES_KEY, LOG_LEVEL_KEY)


class Era(Enum):
    """Whether a server wants a handshake."""

    MODERN = "modern"
    LEGACY = "legacy"


@dataclass(frozen=True)
class Identity:
    """Who we are towards servers."""

    name: str
    version: str
    capabilities: Mapping[str, object] = field(default_factory=dict)
    """Only what the caller can really answer: a server may ask for everything that is declared."""

    @cached_property
    def members(self) -> Params:
        """Its members of a modern request's `_meta`."""
        # Nobody tells that roots have changed any more.
        declared = {name: {} if name == "roots" else value for name, value in self.capabilities.items()}
        return {CLIENT_INFO_KEY: jsonrpc.raw_json(self.client_info()), CAPABILITIES_KEY: jsonrpc.raw_json(declared)}

    def client_info(self) -> dict[str, str]:
        """Return the `Implementation` of the schema."""
        return {"name": self.name, "version": self.version}


def modern_params(params: Params, version: str, identity: Identity, log_level: str | None = None) -> Params:
    """Return params with our version, identity and capabilities in `_meta`, and a log level if there is one; its other members as they are."""
    raw = params.get("_meta")
    meta = (None if raw is None else jsonrpc.members(raw)) or {}
    meta[VERSION_KEY] = jsonrpc.raw_json(version)
    meta.update(identity.members)
    if log_level is not None:
        meta[LOG_LEVEL_KEY] = jsonrpc.raw_json(log_level)
    return {**params, "_meta": jsonrpc.raw_json(meta)}


def legacy_params(params: Params) -> Params:
    """Return params without what modern clients say of themselves: in a legacy session the handshake said it."""
    raw = params.get("_meta")
    meta = None if raw is None else jsonrpc.members(raw)
    if not meta or not any(key in meta for key in _OF_THE_REQUEST):
        return params
    rest = {key: value for key, value in meta.items() if key not in _OF_THE_REQUEST}
    without = {name: value for name, value in params.items() if name != "_meta"}
    return {**without, "_meta": jsonrpc.raw_json(rest)} if rest else without


def modern_headers(version: str, method: str, params: Params) -> dict[str, str]:
    """Return the headers that repeat a modern request."""
    headers = {header.PROTOCOL_VERSION: version, header.METHOD: method}
    member = header.NAMED_BY.get(method)
    name = None if member is None else jsonrpc.text_member(params, member)
    if name is not None:
        headers[header.NAME] = header.encode_value(name)
    return headers


def legacy_headers(version: str, session_id: str | None) -> dict[str, str]:
    """Return the headers of a message in a legacy session."""
    headers = {header.PROTOCOL_VERSION: version}
    if session_id is not None:
        headers[header.SESSION_ID] = session_id
    return headers
