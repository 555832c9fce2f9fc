"""What a server announces of its lists, and the streams of those who want to hear it.

- An announcement says that a list changed, and nothing else: a listener that reads slowly gets each kind once, so nothing grows.
- A stream begins with a line, so that its opening is seen, and ends when the bridge stops. Silence is broken now and then, so that
  neither end takes the other for gone.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final

from wharfinger_bridge.event import event, events
from wharfinger_bridge.jsonrpc import Json, encode
from wharfinger_bridge.said import Said

KINDS: Final = ("tools", "prompts", "resources")
STREAMS: Final = 64
SILENCE_SECONDS: Final = 25.0
SUBSCRIPTION_KEY: Final = "io.modelcontextprotocol/subscriptionId"

_METHODS = {f"notifications/{kind}/list_changed": kind for kind in KINDS}
_COMMENT = b": open\n\n"


def announced(capabilities: Mapping[str, Any]) -> frozenset[str]:
    """Return the kinds of lists whose changes a server announces."""
    declared = {kind: capabilities.get(kind) for kind in KINDS}
    return frozenset(kind for kind, settings in declared.items() if isinstance(settings, dict) and settings.get("listChanged") is True)


def wanted_filter(kinds: Iterable[str]) -> Json:
    """Return the `notifications` of `subscriptions/listen` for these kinds."""
    return {f"{kind}ListChanged": True for kind in sorted(kinds)}


def requested(params: Json) -> frozenset[str]:
    """Return the kinds that a `subscriptions/listen` asks for."""
    wanted = params.get("notifications")
    return frozenset(kind for kind in KINDS if isinstance(wanted, dict) and wanted.get(f"{kind}ListChanged") is True)


class _Listener:
    def __init__(self, kinds: frozenset[str], said: Said) -> None:
        self.kinds = kinds
        self.changed: set[str] = set()
        self.woken = said.woken


class Announcements:
    """The server's announcements, for as long as the bridge lives."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether there are streams enough."""
        return self._closed or len(self._listeners) >= STREAMS

    def publish(self, method: str) -> None:
        """Tell everyone who wants to hear this notification; others than changes of lists are nobody's."""
        kind = _METHODS.get(method)
        for listener in self._listeners:
            if kind in listener.kinds:
                listener.changed.add(kind)
                listener.woken.set()

    def publish_all(self) -> None:
        """Tell everyone that everything may have changed: the server was started anew."""
        for method in _METHODS:
            self.publish(method)

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        for listener in self._listeners:
            listener.woken.set()

    def legacy_stream(self, kinds: frozenset[str], said: Said) -> AsyncGenerator[bytes]:
        """Return the events of a GET stream, and what else is `said` there."""
        return self._events(kinds, {}, said)

    async def modern_stream(self, kinds: frozenset[str], id_: int | str) -> AsyncGenerator[bytes]:
        """Yield the events that answer `subscriptions/listen`: the acknowledgement, the changes, the result."""
        meta = {"_meta": {SUBSCRIPTION_KEY: id_}}
        granted = {"notifications": wanted_filter(kinds)}
        yield event(encode({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": granted | meta}))
        async with aclosing(self._events(kinds, meta, Said())) as changes:
            async for change in changes:
                yield change
        yield event(encode({"jsonrpc": "2.0", "id": id_, "result": {"resultType": "complete"} | meta}))

    async def _events(self, kinds: frozenset[str], params: Json, said: Said) -> AsyncGenerator[bytes]:
        """Yield each kind that changed, and what is said; a comment at the beginning and after a silence."""
        listener = _Listener(kinds, said)
        self._listeners.add(listener)
        try:
            yield _COMMENT
            while True:
                try:
                    async with asyncio.timeout(SILENCE_SECONDS):
                        await listener.woken.wait()
                except TimeoutError:
                    yield _COMMENT
                    continue
                messages = said.take()
                changed, listener.changed = listener.changed, set()
                for piece in events([*(_change(kind, params) for kind in sorted(changed)), *messages]):
                    yield piece
                if self._closed or said.is_over:
                    return
        finally:
            self._listeners.discard(listener)


def _change(kind: str, params: Json) -> Json:
    message: Json = {"jsonrpc": "2.0", "method": f"notifications/{kind}/list_changed"}
    return message | ({"params": params} if params else {})
