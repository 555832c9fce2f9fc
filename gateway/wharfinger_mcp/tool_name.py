"""The names under which a gateway exposes tools: `<prefix>__<tool>`.

Pure. Clients and model APIs take `^[a-zA-Z0-9_-]{1,64}$`; servers name tools as they like. Invariants:

- Every assigned tool gets a name, every name fits the pattern, no two tools share one.
- Names depend on the set of assigned tools, never on its order. A tool whose plain name nobody else has keeps it, whatever
  else is assigned.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

SEPARATOR: Final = "__"
MAX_CHARS: Final = 64
CUT_CHARS: Final = 60
"""Length of a name that had to be cut: some clients count their own name for the server in."""

_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True, slots=True, order=True)
class AssignedTool:
    """A tool as a gateway assigns it."""

    prefix: str
    tool: str
    """The server's name for it, which goes upstream."""
    alias: str = ""
    """Stands in for the server's name where not empty."""


def exposed_names(assigned: Iterable[AssignedTool]) -> Mapping[str, AssignedTool]:
    """Return the tool behind each exposed name, sorted by name.

    1. Characters outside the pattern become `_`; what is then at most 64 characters long is the plain name.
    2. Of several tools with one plain name the first keeps it: unchanged ones before changed ones, then by prefix and tool.
    3. The others, and longer ones, are cut to make room for `_` and a hash of prefix and tool, six digits or as many more
       as it takes.
    """
    by_plain: defaultdict[str, list[AssignedTool]] = defaultdict(list)
    for one in set(assigned):
        by_plain[_FORBIDDEN.sub("_", _wanted(one))].append(one)
    names: dict[str, AssignedTool] = {}
    rest: list[AssignedTool] = []
    for plain, tools in by_plain.items():
        tools.sort(key=lambda one: (_wanted(one) != plain, one))
        if len(plain) <= MAX_CHARS:
            names[plain] = tools.pop(0)
        rest += tools
    for one in sorted(rest):
        names[_hashed(one, names)] = one
    return MappingProxyType(dict(sorted(names.items())))


def _wanted(one: AssignedTool) -> str:
    return f"{one.prefix}{SEPARATOR}{one.alias or one.tool}"


def _hashed(one: AssignedTool, taken: Mapping[str, AssignedTool]) -> str:
    plain = _FORBIDDEN.sub("_", _wanted(one))
    digest = hashlib.sha256("\0".join((one.prefix, one.tool, one.alias)).encode(errors="surrogatepass")).hexdigest()
    for digits in range(6, CUT_CHARS - 1):
        name = f"{plain[: CUT_CHARS - digits - 1]}_{digest[:digits]}"
        if name not in taken:
            return name
    raise AssertionError("no free name: SHA-256 collides")
