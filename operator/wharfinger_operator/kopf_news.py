"""What kopf is told of a list or a watch: the news only.

Most events tell of our own writes, whose answers told it before, and each list of kopf's is followed by one of ours. One event costs kopf
more than one request costs us. What cannot be read here is passed on as it is: kopf is the one to complain.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import aiohttp
import msgspec

IsKnown = Callable[[str, str, int], bool]
"""Tells whether an object, by namespace, name and version, is known at that version or a newer one."""
_TELLING: Final = frozenset({"ADDED", "MODIFIED"})


class _Metadata(msgspec.Struct):
    name: str
    resourceVersion: str  # noqa: N815 - as on the wire
    namespace: str = ""


class _Object(msgspec.Struct):
    metadata: _Metadata


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _List(msgspec.Struct):
    apiVersion: str  # noqa: N815 - as on the wire
    kind: str
    metadata: msgspec.Raw
    items: list[msgspec.Raw]


_object: Final = msgspec.json.Decoder(_Object)
_event: Final = msgspec.json.Decoder(_Event)
_list: Final = msgspec.json.Decoder(_List)


class NewsOfWatch:
    """The body of a watch, in place of aiohttp's."""

    def __init__(self, content: aiohttp.StreamReader, is_known: IsKnown, on_known: Callable[[], object]) -> None:
        self._content = content
        self._is_known = is_known
        self._on_known = on_known

    def __getattr__(self, name: str) -> Any:
        """Return what aiohttp itself needs of the body."""
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield whole lines, those of news and bookmarks; at the end, what is left."""
        pending = b""
        async for data in self._content.iter_chunked(size):
            *lines, pending = (pending + data).split(b"\n")
            news = [line for line in lines if self._is_news(line)]
            if len(news) < len(lines):
                self._on_known()
            if news:
                yield b"\n".join([*news, b""])
        if pending:
            yield pending

    def _is_news(self, line: bytes) -> bool:
        try:
            event = _event.decode(line)
            return event.type not in _TELLING or not _knows(self._is_known, event.object)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            return True


def news_of_list(body: bytes, is_known: IsKnown) -> bytes:
    """Return a page of a list without the objects that are known."""
    try:
        page = _list.decode(body)
        page.items = [item for item in page.items if not _knows(is_known, item)]
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return body
    return msgspec.json.encode(page)


def _knows(is_known: IsKnown, found: msgspec.Raw) -> bool:
    metadata = _object.decode(found).metadata
    return is_known(metadata.namespace, metadata.name, int(metadata.resourceVersion))
