"""Newline-delimited frames out of a stream of chunks: bounded, and linear in the bytes received. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LINE_LIMIT: Final = 16 * 1024 * 1024

_EDGE = 128
_ID_FIRST = re.compile(rb'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*([0-9]{1,15})\s*,')
_ID_LAST = re.compile(rb'.*[,}\]"]\s*"id"\s*:\s*([0-9]{1,15})\s*\}\s*', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Oversized:
    """A line over the limit; only its two ends were kept."""

    size: int
    start: bytes
    end: bytes

    def request_id(self) -> int | None:
        """Return the id of the request that the line answered, where a serializer put it first or last."""
        found = _ID_FIRST.match(self.start) or _ID_LAST.fullmatch(self.end)
        return int(found[1]) if found else None


class LineSplitter:
    """Collects chunks into lines."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes | Oversized]:
        """Yield each line that the chunk completes, without its newline."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._add(end)
            line = b"".join(self._parts)
            yield line if self._size <= self._limit else Oversized(self._size, line[:_EDGE], line[-_EDGE:])
            self._parts, self._size = [], 0
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > self._limit:
            kept = b"".join(self._parts)
            self._parts = [kept[:_EDGE], kept[-_EDGE:]]
