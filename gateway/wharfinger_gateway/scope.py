"""Ending one request's work on demand: its client has left, or has cancelled it. Belongs to one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

_Value = TypeVar("_Value")


class CancelScope:
    """Work of the task that makes it, which anyone may `cancel` while it is under way."""

    __slots__ = ("_requested", "_task")

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = asyncio.current_task()
        self._requested = False

    def cancel(self) -> None:
        """End the work, if it is under way still."""
        if self._task is not None and not self._requested:
            self._requested = True
            self._task.cancel()

    async def run(self, work: Awaitable[_Value]) -> _Value | None:
        """Return what the work gives; None where it was cancelled by this scope."""
        try:
            return await work
        except asyncio.CancelledError:
            if not self._requested or self._task is None or self._task.uncancel() > 0:
                raise
            return None
        finally:
            self._task = None
