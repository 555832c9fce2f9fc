"""A tool as its server defines it now: it may have changed since it was discovered, and the headers of its calls with it.

Source: MCP 2026-07-28, streamable HTTP, "Custom Headers from Tool Parameters": a client that is refused for them lists anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from wharfinger_gateway.upstreams import Reached
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.discovery import sort_out
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.jsonrpc import Params
from wharfinger_mcp.listing import ListLimits, list_all
from wharfinger_mcp.param_header import headers_for, param_headers

KEPT_SECONDS: Final = 60.0
"""A server that refuses every call is not asked for its list as often."""
LIMITS: Final = ListLimits(seconds=10.0)


async def headers_now(params: Params, server: Reached) -> Mapping[str, str]:
    """Return the headers that repeat a call's arguments, none where the server has no such tool; raises UpstreamError."""
    name = jsonrpc.text_member(params, "name")
    tools, _ = sort_out(await _listed(server), Era.MODERN)
    found = next((tool for tool in tools if tool.name == name), None)
    annotated = param_headers(msgspec.json.decode(found.definition).get("inputSchema")) if found is not None else ()
    arguments = msgspec.json.decode(params["arguments"]) if "arguments" in params else None
    return headers_for(annotated, arguments) if isinstance(annotated, tuple) else {}


async def _listed(server: Reached) -> tuple[Raw, ...]:
    now = asyncio.get_running_loop().time()
    kept = server.lists.get("tools/list")
    if kept is not None and kept[0] > now:
        return kept[1]
    found = await list_all(server.upstream, "tools/list", server.headers, LIMITS)
    server.lists["tools/list"] = now + KEPT_SECONDS, found
    return found
