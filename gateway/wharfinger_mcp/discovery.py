"""What a server offers: its identity, capabilities and tools, as found by asking.

A tool that no client could use is left out with its reason; everything else of a definition stays as the server wrote it.
The resources of a server without tools become tools that read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw

from wharfinger_mcp import jsonrpc
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.errors import NotListedError
from wharfinger_mcp.handshake import Handshake, ServerInfo
from wharfinger_mcp.listing import ListLimits, list_all
from wharfinger_mcp.param_header import InvalidAnnotation, param_headers
from wharfinger_mcp.resource_tool import resource_tools, unmarked
from wharfinger_mcp.upstream import CallLimits, Upstream

MAX_TOOL_NAME_CHARS: Final = 256
MAX_INSTRUCTIONS_CHARS: Final = 64 * 1024
MAX_DEFINITION_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64


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


async def discover(upstream: Upstream, headers: Mapping[str, str], limits: ListLimits | None = None) -> Discovery:
    """Return what the server offers; it is asked for what it declares, and for resources only where it has no tools.

    Raises UpstreamError.
    """
    limits = limits or ListLimits()
    server = await upstream.open(headers, CallLimits(limits.seconds))
    tools, dropped = sort_out(await _listed(upstream, server, "tools", headers, limits), server.era)
    if not tools and not dropped:
        made, left_out = resource_tools(await _listed(upstream, server, "resources", headers, limits))
        tools = tuple(Tool(name, definition) for name, definition in made.items())
        dropped = tuple(DroppedTool(name, reason) for name, reason in left_out)
    return Discovery(
        server.era,
        server.protocol_version,
        server.server_info,
        server.capabilities,
        None if server.instructions is None else server.instructions[:MAX_INSTRUCTIONS_CHARS],
        tools,
        dropped,
    )


async def _listed(upstream: Upstream, server: Handshake, kind: str, headers: Mapping[str, str], limits: ListLimits) -> tuple[Raw, ...]:
    """Return what a server lists of a kind; nothing where it does not know the kind, though it may say so."""
    if kind not in server.capabilities:
        return ()
    try:
        return await list_all(upstream, f"{kind}/list", headers, limits)
    except NotListedError as error:
        if error.code == jsonrpc.METHOD_NOT_FOUND:
            return ()
        raise


def sort_out(raw_tools: tuple[Raw, ...], era: Era) -> tuple[tuple[Tool, ...], tuple[DroppedTool, ...]]:
    """Return the tools of a list that can be used, and the others with the reason. Each is asked in turn:

    1. Is it an object with a name of 1 to 256 printable characters?
    2. Is it of a size and depth that everyone who reads it bears?
    3. Is its input schema an object? An absent one becomes `{"type": "object"}`, which is what clients take it for.
    4. Has no tool before it the same name?
    5. In modern revisions: are its `x-mcp-header` annotations valid? (Clients MUST leave the tool out otherwise.)
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
        definition = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        return DroppedTool(place, f"no tool definition: {error}")
    except RecursionError:
        return DroppedTool(place, "its definition is nested too deeply")
    name = definition.get("name") if isinstance(definition, dict) else None
    if not isinstance(name, str):
        return DroppedTool(place, "no tool definition: it is no object with a name")
    if not 1 <= len(name) <= MAX_TOOL_NAME_CHARS or not name.isprintable():
        return DroppedTool(place, f"its name does not have 1 to {MAX_TOOL_NAME_CHARS} printable characters")
    return _fault(name, definition, raw, era) or _usable(name, definition, raw)


def _fault(name: str, definition: Mapping[str, Any], raw: Raw, era: Era) -> DroppedTool | None:
    size, schema = len(bytes(raw)), definition.get("inputSchema", {})
    if size > MAX_DEFINITION_BYTES:
        return DroppedTool(name, f"its definition has {size} bytes, more than {MAX_DEFINITION_BYTES}")
    if _is_deep(definition):
        return DroppedTool(name, f"its definition is nested too deeply: more than {MAX_DEPTH} levels")
    if not isinstance(schema, dict):
        return DroppedTool(name, "no tool definition: its inputSchema is no object")
    annotated = param_headers(schema) if era is Era.MODERN else ()
    return DroppedTool(name, annotated.reason) if isinstance(annotated, InvalidAnnotation) else None


def _usable(name: str, definition: Mapping[str, Any], raw: Raw) -> Tool:
    if "inputSchema" in definition:
        return Tool(name, unmarked(bytes(raw)))
    members = (jsonrpc.members(raw) or {}) | {"inputSchema": Raw(b'{"type":"object"}')}
    return Tool(name, unmarked(bytes(jsonrpc.raw_json(members))))


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for one in level if isinstance(one, dict | list) for inner in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return False
    return True
