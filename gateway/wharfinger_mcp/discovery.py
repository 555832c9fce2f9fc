"""What a server offers: its identity, capabilities and tools, as found by asking.

A tool that no client could use is left out with its reason; everything else of a definition stays as the server wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from wharfinger_mcp import jsonrpc
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.handshake import Handshake, ServerInfo
from wharfinger_mcp.listing import ListLimits, list_all
from wharfinger_mcp.param_header import InvalidAnnotation, param_headers
from wharfinger_mcp.upstream import CallLimits, Upstream

MAX_TOOL_NAME_CHARS: Final = 256
MAX_INSTRUCTIONS_CHARS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that can be used."""

    name: str
    definition: bytes
    """Its JSON object, with an `inputSchema` in any case."""


@dataclass(frozen=True, slots=True)
class DroppedTool:
    """A tool that was left out."""

    name: str
    """Its place in the list, as `#3`, where it has no usable name."""
    reason: str


@dataclass(frozen=True)
class Discovery:
    """What a server offers."""

    era: Era
    protocol_version: str
    server_info: ServerInfo
    capabilities: Mapping[str, Any]
    instructions: str | None
    tools: tuple[Tool, ...]
    """Sorted by name."""
    dropped: tuple[DroppedTool, ...]


class _Definition(msgspec.Struct):
    name: str
    inputSchema: dict[str, Any] | UnsetType = UNSET  # noqa: N815 - the field's name on the wire


async def discover(upstream: Upstream, headers: Mapping[str, str], limits: ListLimits | None = None) -> Discovery:
    """Return what the server offers; a server that declares no tools is not asked for them.

    Raises UpstreamError.
    """
    limits = limits or ListLimits()
    server = await upstream.open(headers, CallLimits(limits.seconds))
    raw_tools = await list_all(upstream, "tools/list", headers, limits) if "tools" in server.capabilities else ()
    return _discovery(server, raw_tools)


def _discovery(server: Handshake, raw_tools: tuple[Raw, ...]) -> Discovery:
    tools, dropped = sort_out(raw_tools, server.era)
    return Discovery(
        server.era,
        server.protocol_version,
        server.server_info,
        server.capabilities,
        None if server.instructions is None else server.instructions[:MAX_INSTRUCTIONS_CHARS],
        tools,
        dropped,
    )


def sort_out(raw_tools: tuple[Raw, ...], era: Era) -> tuple[tuple[Tool, ...], tuple[DroppedTool, ...]]:
    """Return the tools of a list that can be used, and the others with the reason. Each is asked in turn:

    1. Is it an object with a name of 1 to 256 printable characters?
    2. Is its input schema an object? An absent one becomes `{"type": "object"}`, which is what clients take it for.
    3. Has no tool before it the same name?
    4. In modern revisions: are its `x-mcp-header` annotations valid? (Clients MUST leave the tool out otherwise.)
    """
    tools: dict[str, Tool] = {}
    dropped: list[DroppedTool] = []
    for number, raw in enumerate(raw_tools, 1):
        tool = _tool(raw, number, era)
        if isinstance(tool, Tool) and tool.name in tools:
            tool = DroppedTool(tool.name, "a tool before it has the same name")
        if isinstance(tool, Tool):
            tools[tool.name] = tool
        else:
            dropped.append(tool)
    return tuple(tools[name] for name in sorted(tools)), tuple(dropped)


def _tool(raw: Raw, number: int, era: Era) -> Tool | DroppedTool:
    place = f"#{number}"
    try:
        definition = msgspec.json.decode(raw, type=_Definition)
    except msgspec.DecodeError as error:
        return DroppedTool(place, f"no tool definition: {error}")
    except RecursionError:
        return DroppedTool(place, "its definition is nested too deeply")
    name = definition.name
    if not 1 <= len(name) <= MAX_TOOL_NAME_CHARS or not name.isprintable():
        return DroppedTool(place, f"its name does not have 1 to {MAX_TOOL_NAME_CHARS} printable characters")
    if era is Era.MODERN and definition.inputSchema is not UNSET:
        annotated = param_headers(definition.inputSchema)
        if isinstance(annotated, InvalidAnnotation):
            return DroppedTool(name, annotated.reason)
    if definition.inputSchema is not UNSET:
        return Tool(name, bytes(raw))
    members = (jsonrpc.members(raw) or {}) | {"inputSchema": Raw(b'{"type":"object"}')}
    return Tool(name, bytes(jsonrpc.raw_json(members)))
