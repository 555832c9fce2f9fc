"""One HTTP request as the pipeline sees it, and its reply: no web framework in between, so that both are plain values in tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

from wharfinger_gateway.refusals import Refusal

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Headers(Protocol):
    """Header fields, looked up in any case; a multidict is one."""

    def getall(self, key: str, default: list[str], /) -> list[str]:
        """Return every value of a field."""


ReadBody = Callable[[int], Awaitable[bytes | Refusal]]
"""Reads the body, up to so many bytes."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request whose body has not been read. Its headers hold a credential."""

    verb: str
    path: str
    """As it stood in the request line, without the query."""
    headers: Headers = field(repr=False)
    read: ReadBody = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)
