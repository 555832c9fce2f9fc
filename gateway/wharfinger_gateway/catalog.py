"""The tools a caller sees in a gateway, under which names. Pure, but for the cache, which only forgets.

Invariants: a tool is listed when the caller can use it, or gets a link to install what it needs. Whether a call is served is decided
at the call (`resolve`), never by what was listed. A list is in order of names, and its bytes are the same for every caller who sees the
same definitions.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from wharfinger_crds.tool_selection import selected_tools
from wharfinger_gateway import modern
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.principal import Principal
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.resolve import Choice, resolve
from wharfinger_gateway.snapshot import Assignment, Gateway, Snapshot, Tool
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.param_header import ANNOTATION, ParamHeader, param_headers
from wharfinger_mcp.resource_tool import resource_uri
from wharfinger_mcp.tool_name import AssignedTool, exposed_names

MAX_CATALOGS: Final = 1024
MAX_CALLERS: Final = 10_000
"""Whose catalogues are remembered until anything new is in force."""
ORIGINAL_NAME: Final = "wharfinger.dev/tool"
"""In a definition's `_meta`: the server's own name for the tool."""

Sources = tuple[str | None, ...]
"""For each assignment of a gateway, the hash of the definitions that the caller sees; None: none."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode
_OBJECT: Final = msgspec.Raw(b'"object"')
_EMPTY_SCHEMA: Final = msgspec.Raw(b'{"type":"object"}')


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool as the gateway exposes it."""

    name: str
    assignment: Assignment
    tool: Tool
    annotated: tuple[ParamHeader, ...] = ()
    """Arguments that are repeated in headers."""
    resource: str | None = None
    """The URI of the resource that the tool reads; None for a tool of the server's own."""


@dataclass(frozen=True)
class Catalog:
    """The tools of one visible set."""

    gateway: Gateway
    tools: Mapping[str, Listed]
    """By exposed name, in order."""

    @cached_property
    def modern_result(self) -> msgspec.Raw:
        """The ListToolsResult for clients of 2026-07-28."""
        return msgspec.Raw(_encode(modern.list_result(self.gateway, {"tools": self._definitions})))

    @cached_property
    def legacy_result(self) -> msgspec.Raw:
        """The ListToolsResult for older clients."""
        return msgspec.Raw(_encode({"tools": [legacy_definition(listed) for listed in self.tools.values()]}))

    @cached_property
    def offer(self) -> Mapping[str, msgspec.Raw]:
        """What stands for what there is of each kind, to tell whether it has changed."""
        return {"tools": jsonrpc.raw_json(hashlib.sha256(self._definitions).hexdigest())}

    @property
    def _definitions(self) -> msgspec.Raw:
        return msgspec.Raw(_encode([definition(listed) for listed in self.tools.values()]))


class Catalogs:
    """Keeps catalogues for as long as their gateway and definitions are the same."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Sources], Catalog] = OrderedDict()
        self._snapshot: Snapshot | None = None
        self._of_callers: dict[tuple[str, Principal], Catalog] = {}

    def of(self, permit: Permit) -> Catalog:
        """Return the caller's catalogue."""
        known = permit.worked_out.get(Catalog)
        if isinstance(known, Catalog):
            return known
        found = permit.worked_out[Catalog] = self._of_caller(permit)
        return found

    def _of_caller(self, permit: Permit) -> Catalog:
        if permit.snapshot is not self._snapshot or len(self._of_callers) >= MAX_CALLERS:
            self._snapshot = permit.snapshot
            self._of_callers.clear()
        caller = permit.gateway.id, permit.principal
        found = self._of_callers.get(caller)
        if found is None:
            found = self._of_callers[caller] = self._kept_of(permit)
        return found

    def _kept_of(self, permit: Permit) -> Catalog:
        key = permit.gateway.id, sources(permit)
        kept = self._kept.get(key)
        if kept is None or kept.gateway != permit.gateway:
            kept = self._kept[key] = catalog(permit.gateway, key[1], permit.snapshot)
            if len(self._kept) > MAX_CATALOGS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept


def sources(permit: Permit) -> Sources:
    """Return which definitions the caller sees of each assignment."""
    return tuple(_source(permit, assignment) for assignment in permit.gateway.assignments)


def _source(permit: Permit, assignment: Assignment) -> str | None:
    choice = resolve(permit, assignment)
    if isinstance(choice, Choice):
        own = choice.installation.connection.tools_hash
        if own is not None and own in permit.snapshot.tools:
            return own
    elif choice.reason is not Reason.INSTALLATION_NEEDED:
        return None
    if assignment.entry is None:
        return None
    return permit.snapshot.index.newest_tools.get((assignment.entry, assignment.environment))


def catalog(gateway: Gateway, visible: Sources, snapshot: Snapshot) -> Catalog:
    """Return the catalogue of a visible set; where two assignments give one name to one tool's name, the first has it."""
    found: dict[AssignedTool, tuple[Assignment, Tool]] = {}
    for assigned, assignment, tool in _assigned(gateway, visible, snapshot):
        found.setdefault(assigned, (assignment, tool))
    named = exposed_names(found)
    return Catalog(gateway, {name: _listed(name, *found[assigned]) for name, assigned in named.items()})


def _listed(name: str, assignment: Assignment, tool: Tool) -> Listed:
    return Listed(name, assignment, tool, _annotated(tool), resource_uri(tool.definition))


def _annotated(tool: Tool) -> tuple[ParamHeader, ...]:
    if ANNOTATION.encode() not in tool.definition:
        return ()
    found = param_headers(msgspec.json.decode(tool.definition).get("inputSchema"))
    return found if isinstance(found, tuple) else ()


def _assigned(gateway: Gateway, visible: Sources, snapshot: Snapshot) -> Iterator[tuple[AssignedTool, Assignment, Tool]]:
    for assignment, source in zip(gateway.assignments, visible, strict=True):
        tools = {tool.name: tool for tool in snapshot.tools.get(source or "", ())}
        for name in selected_tools(assignment.selection, tools):
            yield AssignedTool(assignment.prefix, name, assignment.selection.rename.get(name, "")), assignment, tools[name]


def definition(listed: Listed) -> Mapping[str, Any]:
    """Return a tool's definition under its exposed name; everything that is not understood stays byte for byte."""
    members = _members.decode(listed.tool.definition)
    members["name"] = msgspec.Raw(_encode(listed.name))
    members.setdefault("inputSchema", _EMPTY_SCHEMA)
    meta = _object(members.get("_meta"))
    members["_meta"] = msgspec.Raw(_encode({**meta, ORIGINAL_NAME: listed.tool.name}))
    # It says whether the tool can run as a task, and tasks are not passed through.
    members.pop("execution", None)
    return members


def legacy_definition(listed: Listed) -> Mapping[str, Any]:
    """Return the same for older clients, to which what a tool returns is an object: some of them refuse a whole list for a schema of anything else."""
    members = definition(listed)
    if "outputSchema" not in members or _object(members["outputSchema"]).get("type") == _OBJECT:
        return members
    return {name: value for name, value in members.items() if name != "outputSchema"}


def _object(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    try:
        return _members.decode(raw) if raw is not None else {}
    except msgspec.DecodeError:
        return {}


def find(catalog: Catalog, name: str) -> Listed | Refusal:
    """Return the tool that the caller means."""
    return catalog.tools.get(name) or Refusal(Reason.TOOL_UNKNOWN, detail=name if len(name) <= 128 else "")
