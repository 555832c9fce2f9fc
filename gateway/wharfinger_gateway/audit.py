"""Where audit records go: standard output, a line each, written in small batches so that no call waits for a pipe."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

FLUSH_SECONDS: Final = 0.05
FLUSH_BYTES: Final = 64 * 1024


class Sink(Protocol):
    """A binary stream."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""

    def flush(self) -> None:
        """Let them go."""


class AuditLog:
    """Collects lines and writes them soon. Belongs to one event loop; `flush` it at the end."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lines: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def write(self, line: bytes) -> None:
        """Take a line, its end included."""
        self._lines.append(line)
        self._size += len(line)
        if self._size >= FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what was collected."""
        if self._timer is not None:
            self._timer.cancel()
        lines, self._lines, self._size, self._timer = self._lines, [], 0, None
        self._sink.write(b"".join(lines))
        self._sink.flush()
