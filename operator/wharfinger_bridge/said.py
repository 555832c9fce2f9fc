"""What a server says beside its answers: progress, log records, questions, waiting for whoever carries it to its caller."""

import asyncio
from collections import deque
from typing import Final

from wharfinger_bridge.jsonrpc import Json

MOST: Final = 64
"""Messages that wait: beyond, the oldest notification is forgotten, for a later one tells more."""


class Said:
    """Messages in their order. Belongs to one event loop."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        """Set when there is something to `take`."""
        self.is_over = False
        self._messages: deque[Json] = deque()

    def close(self) -> None:
        """Have whoever carries it stop: nothing more will be said."""
        self.is_over = True
        self.woken.set()

    def add(self, message: Json) -> None:
        """Take a notification or a request of the server's."""
        if len(self._messages) >= MOST:
            forgotten = next((one for one in self._messages if "id" not in one), None)
            if forgotten is None:
                return
            self._messages.remove(forgotten)
        self._messages.append(message)
        self.woken.set()

    def take(self) -> list[Json]:
        """Return what is there, and forget it."""
        self.woken.clear()
        taken = list(self._messages)
        self._messages.clear()
        return taken
