"""Server-sent events: bytes to events, as they come, and back.

Pure. Source: WHATWG HTML, section 9.2.6 "Interpreting an event stream". One event never takes more than its bound of memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event that was dispatched."""

    data: bytes
    type: str = "message"
    id: str | None = None
    """The last id the stream named, for resuming."""


class EventTooLargeError(ValueError):
    """One event is larger than the bound."""


def event_bytes(data: bytes) -> bytes:
    """Return the event that carries a JSON text; line ends in JSON are white space, and would end a field."""
    return b"data: " + data.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n\n"


class EventStream:
    """The state between two pieces of a stream."""

    def __init__(self, max_event_bytes: int) -> None:
        self.retry_ms: int | None = None
        """How long the server wants a client to wait before it comes back."""
        self.last_id: str | None = None
        """The last id the stream named, even with an event without data, which is none."""
        self._max = max_event_bytes
        self._size = 0
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._type = ""
        self._after_cr = False
        self._first_line = True

    def feed(self, piece: bytes) -> list[Event]:
        """Return the events that `piece` completes.

        Raises EventTooLargeError; the stream cannot be used after it.
        """
        if not piece:
            return []
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_cr = piece.endswith(b"\r")
        events = []
        start = 0
        for end in _LINE_END.finditer(piece):
            event = self._take_line(piece[start : end.start()])
            start = end.end()
            if event is not None:
                events.append(event)
        self._hold(piece[start:])
        return events

    def _hold(self, rest: bytes) -> None:
        if rest:
            self._grow(len(rest))
            self._line.append(rest)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._max:
            raise EventTooLargeError(f"one event has more than {self._max} bytes")

    def _take_line(self, last: bytes) -> Event | None:
        self._hold(last)
        line = b"".join(self._line)
        self._line.clear()
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        self._take_field(name, value.removeprefix(b" "))
        return None

    def _take_field(self, name: bytes, value: bytes) -> None:
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._type = value.decode(errors="replace")
        elif name == b"id" and b"\0" not in value:
            self.last_id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit() and len(value) <= 9:
            self.retry_ms = int(value)
        elif not self._data:
            # Comments and unknown fields between events take no memory, so they must not count for the next one.
            self._size = 0

    def _dispatch(self) -> Event | None:
        data, type_ = self._data, self._type
        self._data, self._type, self._size = [], "", 0
        if not data:
            return None
        return Event(b"\n".join(data), type_ or "message", self.last_id)
