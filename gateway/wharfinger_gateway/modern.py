"""Clients of the revision without a handshake (2026-07-28): discovery, and what every result says beside its contents. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wharfinger_gateway.server_info import capabilities, server_info
from wharfinger_gateway.snapshot import Gateway
from wharfinger_mcp import envelope, jsonrpc, revision
from wharfinger_mcp.jsonrpc import Params

PRIVATE: Final[Mapping[str, Any]] = {"ttlMs": 0, "cacheScope": "private"}
"""Caching hints: what a caller sees depends on who he is, and may change at once."""


def discover_result(gateway: Gateway) -> Mapping[str, Any]:
    """Return the DiscoverResult."""
    return {"supportedVersions": list(revision.SUPPORTED), "capabilities": capabilities(gateway), **PRIVATE, **_common(gateway, {})}


def list_result(gateway: Gateway, lists: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the result that lists something, by its member."""
    return {**lists, **PRIVATE, **_common(gateway, {})}


def completed(gateway: Gateway, members: Params, *, cacheable: bool = False) -> Mapping[str, Any]:
    """Return the members of a server's result, of whatever revision, as one of this gateway; what is not understood stays byte for byte."""
    hints: Mapping[str, Any] = {}
    if cacheable:
        # Never more public than the server says: what it said to one caller is his.
        hints = {"ttlMs": members.get("ttlMs", 0), "cacheScope": "private"}
    meta = jsonrpc.members(members["_meta"]) if "_meta" in members else None
    kind = {"resultType": members["resultType"]} if "resultType" in members else {}
    return {**members, **hints, **_common(gateway, meta or {}), **kind}


def _common(gateway: Gateway, meta: Mapping[str, Any]) -> dict[str, Any]:
    return {"resultType": "complete", "_meta": {**meta, envelope.SERVER_INFO_KEY: server_info(gateway)}}
