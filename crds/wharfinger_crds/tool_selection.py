"""Which tools an assignment of a gateway chooses."""

from __future__ import annotations

from collections.abc import Iterable

from wharfinger_crds.gateway import ToolAssignment


def matches(name: str, pattern: str) -> bool:
    """Tell whether a name matches a pattern in which `*` stands for any text; in linear time, since people write patterns."""
    first, *middle = pattern.split("*")
    if not middle:
        return name == pattern
    last = middle.pop()
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _chosen(name: str, patterns: Iterable[str]) -> bool:
    return any(matches(name, pattern) for pattern in patterns)


def selected_tools(assignment: ToolAssignment, tools: Iterable[str]) -> tuple[str, ...]:
    """Return the names among `tools` that the assignment includes and does not exclude, sorted."""
    return tuple(sorted(name for name in tools if _chosen(name, assignment.include) and not _chosen(name, assignment.exclude)))


def missing_tools(assignment: ToolAssignment, tools: Iterable[str]) -> tuple[str, ...]:
    """Return the included exact names that the server does not have, sorted."""
    have = frozenset(tools)
    return tuple(sorted(name for name in assignment.include if "*" not in name and name not in have))
