"""Prompts, resources and resource templates, as far as a gateway selects them. Pure.

Prompts are named as tools are, `<prefix>__<prompt>`. URIs stay as they are, for servers name them in results; where two servers have one,
the first assignment's counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from msgspec import Raw

from wharfinger_crds.tool_selection import matches
from wharfinger_gateway.snapshot import Assignment, Gateway
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.tool_name import AssignedTool, exposed_names

ORIGINAL_PROMPT: Final = "wharfinger.dev/prompt"
"""In a prompt's `_meta`: the server's own name for it."""
MAX_KEY_CHARS: Final = 4096


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of list."""

    capability: str
    """With which a server says that it has such."""
    method: str
    member: str
    """Of the result, that holds the items."""
    key: str
    """Member of an item that tells it apart."""

    def patterns(self, assignment: Assignment) -> Sequence[str]:
        """Return what an assignment selects."""
        return assignment.selection.prompts if self is PROMPTS else assignment.selection.resources

    def is_selected(self, assignment: Assignment, key: str) -> bool:
        """Tell whether an assignment selects an item."""
        return any(matches(key, pattern) for pattern in self.patterns(assignment))


PROMPTS: Final = Kind("prompts", "prompts/list", "prompts", "name")
RESOURCES: Final = Kind("resources", "resources/list", "resources", "uri")
TEMPLATES: Final = Kind("resources", "resources/templates/list", "resourceTemplates", "uriTemplate")
KINDS: Final[Mapping[str, Kind]] = {kind.method: kind for kind in (PROMPTS, RESOURCES, TEMPLATES)}


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt, resource or template of one assignment."""

    assignment: Assignment
    key: str
    """The server's own name or URI for it."""
    definition: Raw


Selected = Mapping[str, Item]
"""By exposed name or URI, in order."""


def selected(kind: Kind, lists: Iterable[tuple[Assignment, Iterable[Raw]]]) -> Selected:
    """Return what callers see of the lists of a gateway's assignments."""
    found = [item for assignment, items in lists for item in _items(kind, assignment, items)]
    if kind is not PROMPTS:
        first: dict[str, Item] = {}
        for item in found:
            first.setdefault(item.key, item)
        return dict(sorted(first.items()))
    by_name: dict[AssignedTool, Item] = {}
    for item in found:
        by_name.setdefault(AssignedTool(item.assignment.prefix, item.key), item)
    return {name: _renamed(name, by_name[assigned]) for name, assigned in exposed_names(by_name).items()}


def _items(kind: Kind, assignment: Assignment, items: Iterable[Raw]) -> Iterator[Item]:
    for raw in items:
        key = jsonrpc.text_member(jsonrpc.members(raw) or {}, kind.key)
        if key and len(key) <= MAX_KEY_CHARS and kind.is_selected(assignment, key):
            yield Item(assignment, key, raw)


def _renamed(name: str, item: Item) -> Item:
    members = jsonrpc.members(item.definition) or {}
    meta = (jsonrpc.members(members["_meta"]) if "_meta" in members else None) or {}
    members["name"] = jsonrpc.raw_json(name)
    members["_meta"] = jsonrpc.raw_json({**meta, ORIGINAL_PROMPT: item.key})
    return Item(item.assignment, item.key, jsonrpc.raw_json(members))


def owner_of(uri: str, resources: Selected, templates: Selected, gateway: Gateway) -> Assignment | None:
    """Return the assignment that a resource is read from: where it is listed, else whose template it fits, else which alone selects it."""
    found = resources.get(uri)
    if found is not None:
        return found.assignment
    if len(uri) > MAX_KEY_CHARS or climbs(uri):
        return None
    for item in templates.values():
        if fits(uri, item.key):
            return item.assignment
    # What a server neither lists nor describes it may have all the same.
    able = [assignment for assignment in gateway.assignments if RESOURCES.is_selected(assignment, uri)]
    return able[0] if len(able) == 1 else None


def fits(uri: str, template: str) -> bool:
    """Tell whether a URI may be made from a template (RFC 6570): a plain expression stands for one segment of a path, or a part of it."""
    pattern = _EXPRESSION.sub("*", template.replace("*", ""))
    if _RESERVED.search(template):
        return matches(uri, pattern)
    given, wanted = uri.split("/"), pattern.split("/")
    return len(given) == len(wanted) and all(matches(one, other) for one, other in zip(given, wanted, strict=True))


def climbs(uri: str) -> bool:
    """Tell whether a URI has segments that lead elsewhere than it seems (RFC 3986 §5.2.4): no pattern means those."""
    return not _DOTS.isdisjoint(re.split(r"[/\\?#]", unquote(unquote(uri))))


_EXPRESSION: Final = re.compile(r"\{[^{}]*\}")
_RESERVED: Final = re.compile(r"\{[+#/?&;.]")
_DOTS: Final = frozenset({".", ".."})


def members_of(kind: Kind, found: Selected) -> Mapping[str, list[Raw]]:
    """Return the member of the result that holds the list."""
    return {kind.member: [item.definition for item in found.values()]}
