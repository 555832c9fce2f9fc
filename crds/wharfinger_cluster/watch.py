"""The body of a watch: lines of JSON, one event each, arriving in chunks that know nothing of lines.

Invariants: a line is at most `LINE_LIMIT` bytes; what is not an event is `Unreachable`, never a crash; an ERROR event becomes the exception
its status stands for.
"""

from collections.abc import AsyncIterable, AsyncIterator
from functools import cached_property
from typing import Literal, TypeVar

import msgspec

from wharfinger_cluster.errors import Unreachable, stream_refusal
from wharfinger_cluster.resource import Object, Resource

LINE_LIMIT = 16 * 2**20
"""etcd takes objects of 1.5 MiB; escaping and managedFields can multiply that on the wire."""


class _Line(msgspec.Struct):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: msgspec.Raw


class _Metadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    name: str = ""
    namespace: str = ""


class _Peeked(msgspec.Struct):
    metadata: _Metadata


class WatchEvent:
    """One event of a watch (metav1.WatchEvent): what it is about, and the object, which is only read where somebody asks for it."""

    def __init__(self, kind: str, body: msgspec.Raw, metadata: _Metadata, what: str) -> None:
        self.type = kind
        """ADDED, MODIFIED, DELETED or BOOKMARK."""
        self.key = metadata.namespace, metadata.name
        self.version = metadata.resource_version
        self._body = body
        self._what = what

    @cached_property
    def object(self) -> Object:
        """The object, without `managedFields`. Raises Unreachable."""
        found: Object = _read(self._body, Object, self._what)
        found["metadata"].pop("managedFields", None)
        return found


_line = msgspec.json.Decoder(_Line)
_peek = msgspec.json.Decoder(_Peeked)
T = TypeVar("T")


async def events(chunks: AsyncIterable[bytes], what: str, resource: Resource) -> AsyncIterator[WatchEvent]:
    """Yield the events in a response body; `what` names the watch in errors. Raise any `ClusterError`."""
    async for text in _lines(chunks, what):
        try:
            line = _line.decode(text)
            if line.type != "ERROR":
                peeked = _peek.decode(line.object)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unreachable(f"{what}: the stream holds something else than watch events") from None
        if line.type == "ERROR":
            raise stream_refusal(what, resource, _read(line.object, Object, what))
        yield WatchEvent(line.type, line.object, peeked.metadata, what)


def _read(body: msgspec.Raw, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreachable(f"{what}: the stream holds something else than objects") from None


async def _lines(chunks: AsyncIterable[bytes], what: str) -> AsyncIterator[bytes]:
    pending = bytearray()
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        pending += first
        for part in others:
            if pending.strip():
                yield bytes(pending)
            pending = bytearray(part)
        if len(pending) > LINE_LIMIT:
            raise Unreachable(f"{what}: a line of more than {LINE_LIMIT} bytes")
