"""Messages as events of a stream (HTML, server-sent events; MCP 2025-11-25, streamable HTTP). Pure."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from wharfinger_bridge.jsonrpc import Json, encode


def event(body: bytes) -> bytes:
    """Return an encoded message, which has no line ends, as one event."""
    return b"event: message\ndata: " + body + b"\n\n"


def events(messages: Iterable[Json]) -> Iterator[bytes]:
    """Yield what a server says as events, but what holds a number that JSON has no form for: nobody could be told that."""
    for message in messages:
        with suppress(ValueError):
            yield event(encode(message))
