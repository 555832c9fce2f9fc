"""HTTP as the authorization server sees it: plain values, so that no step needs a socket to be tested.

Invariants: a parameter that is given twice, in query or form, is no request (RFC 6749 §3.1, §3.2). The public URL comes from the
settings, never from Host or X-Forwarded-*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Self
from urllib.parse import parse_qsl

NONE: Final[Mapping[str, str]] = MappingProxyType({})
MAX_BODY: Final = 16 * 1024
MAX_QUERY: Final = 6 * 1024
MAX_PARAMETERS: Final = 64


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole. It may hold credentials."""

    verb: str
    path: str
    query: Mapping[str, str] = field(default_factory=lambda: NONE, repr=False)
    form: Mapping[str, str] = field(default_factory=lambda: NONE, repr=False)
    """Of an application/x-www-form-urlencoded body."""
    body: bytes = field(default=b"", repr=False)
    """Of any other body."""
    headers: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """By name in lower case."""
    cookies: Mapping[str, str] = field(default_factory=lambda: NONE, repr=False)
    peer: str = ""
    """The address it came from, for limits."""

    def header(self, name: str) -> str | None:
        """Return the one value of a field; None where it is absent or there are several."""
        values = self.headers.get(name, ())
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back. It may hold credentials."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: NONE, repr=False)
    cookies: Mapping[str, str] = field(default_factory=lambda: NONE, repr=False)
    """By name: value and attributes, as after `=` in Set-Cookie."""

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return the same with more header fields; its own stay."""
        return replace(self, headers={**headers, **self.headers})


def parameters(text: str) -> Mapping[str, str] | None:
    """Return the parameters of a query or form; None where one is given twice, they are too many, or it is no such text."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        return None
    found = dict(pairs)
    return MappingProxyType(found) if len(found) == len(pairs) else None
