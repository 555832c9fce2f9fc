"""Which tools an assignment of a gateway chooses."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from wharfinger_crds.gateway import ToolAssignment


def _matches(name: str, patterns: Iterable[str]) -> bool:
    # `[` is legal in no tool name, so only `*` can mean anything; `?` and `[` are taken literally.
    return any(name == p or ("*" in p and fnmatch.fnmatchcase(name, p.replace("[", "[[]").replace("?", "[?]"))) for p in patterns)


def selected_tools(assignment: ToolAssignment, tools: Iterable[str]) -> tuple[str, ...]:
    """Return the names among `tools` that the assignment includes and does not exclude, sorted."""
    return tuple(sorted(name for name in tools if _matches(name, assignment.include) and not _matches(name, assignment.exclude)))


def missing_tools(assignment: ToolAssignment, tools: Iterable[str]) -> tuple[str, ...]:
    """Return the included exact names that the server does not have, sorted."""
    have = frozenset(tools)
    return tuple(sorted(name for name in assignment.include if "*" not in name and name not in have))
