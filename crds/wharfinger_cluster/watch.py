"""The body of a watch: lines of JSON, one event each, arriving in chunks that know nothing of lines.

Invariants: a line is at most `LINE_LIMIT` bytes; what is not an event is `Unreachable`, never a crash; an ERROR event becomes the exception
its status stands for.
"""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Literal

import msgspec

from wharfinger_cluster.errors import Unreachable, stream_refusal
from wharfinger_cluster.resource import Object, Resource

LINE_LIMIT = 16 * 2**20
"""etcd takes objects of 1.5 MiB; escaping and managedFields can multiply that on the wire."""


class WatchEvent(msgspec.Struct, frozen=True):
    """One event of a watch (metav1.WatchEvent)."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: Object


_decoder = msgspec.json.Decoder(WatchEvent)


async def events(chunks: AsyncIterable[bytes], what: str, resource: Resource) -> AsyncIterator[WatchEvent]:
    """Yield the events in a response body, without `managedFields`; `what` names the watch in errors. Raise any `ClusterError`."""
    async for line in _lines(chunks, what):
        try:
            event = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unreachable(f"{what}: the stream holds something else than watch events") from None
        if event.type == "ERROR":
            raise stream_refusal(what, resource, event.object)
        metadata = event.object.get("metadata")
        if not isinstance(metadata, dict):
            raise Unreachable(f"{what}: an event without metadata")
        metadata.pop("managedFields", None)
        yield event


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
