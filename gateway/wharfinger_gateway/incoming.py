"""One HTTP request as the pipeline sees it, and its reply: no web framework in between, so that both are plain values in tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from wharfinger_gateway.refusals import Refusal

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Headers(Protocol):
    """Header fields, looked up in any case; a multidict is one."""

    def getall(self, key: str, default: list[str], /) -> list[str]:
        """Return every value of a field."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return every field."""


class Channel(Protocol):
    """The way to the client while its request is under way."""

    async def open(self) -> None:
        """Begin an event stream now, whether there is anything to say or not."""

    async def say(self, message: bytes) -> bool:
        """Send a JSON-RPC message ahead of the reply, which then is the last event of a stream.

        It holds up who calls it for as long as the client does not read, within bounds. Return False where nobody hears it: the client
        has left, or takes no stream.
        """

    async def event(self, kind: str, data: bytes) -> bool:
        """Send an event that is no message; see `say`."""

    async def write(self, events: bytes) -> bool:
        """Send a piece of an event stream as it is; see `say`."""

    def linger(self) -> None:
        """Keep the connection alive from now on: the reply may take long."""

    def on_leave(self, leave: Callable[[], None]) -> Callable[[], None]:
        """Have this called when the client leaves before its reply is sent; return what takes that back."""


ReadBody = Callable[[int], Awaitable[bytes | Refusal]]
"""Reads the body, up to so many bytes."""


class Memo(Protocol):
    """Where what was made of a head is kept, for as long as the same one comes on the same connection."""

    memo: object


class Incoming(msgspec.Struct, frozen=True):
    """A request whose body has not been read. Its headers hold a credential."""

    verb: str
    path: str
    """As it stood in the request line, without the query."""
    headers: Headers
    read: ReadBody
    channel: Channel
    query: str = ""
    kept: Memo | None = None

    def __repr__(self) -> str:
        return f"Incoming({self.verb} {self.path})"


class Reply(msgspec.Struct, frozen=True):
    """What goes back."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = NO_HEADERS
