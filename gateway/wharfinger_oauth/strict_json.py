"""JSON objects of others, where it matters that everybody reads the same: a name that stands there twice makes it none (RFC 8725 §2.4, §3.10)."""

from __future__ import annotations

import json
from typing import Any

Object = dict[str, Any]


def read_object(data: bytes | str) -> Object | None:
    """Return the object; None where it is another value, names something twice, has NaN or Infinity, or nests without end."""
    try:
        value = json.loads(data, object_pairs_hook=_once, parse_constant=_never)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _never(name: str) -> None:
    raise ValueError(name)
