"""Which images are being asked about: one task a question, however many installations wait for it, with back-off.

Invariants: a failure keeps what was known; nobody's question waits for another's but for a place among a few at a time.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from wharfinger_operator.image_registry import ImageError
from wharfinger_operator.plan.entry_point import ImageQuestion
from wharfinger_operator.world import EntryPoint, ImageAnswer

AT_ONCE: Final = 8
RETRY_BASE: Final = 5.0
RETRY_CAP: Final = 600.0
FRESH: Final = 600.0
"""Seconds for which an answer is good for installations that ask later: a tag may move."""
KEPT: Final = 512
"""Answers that nobody waits for any more."""

_log = logging.getLogger(__name__)
Read = Callable[[ImageQuestion], Awaitable[EntryPoint]]
"""Asks a registry. Raises ImageError."""
Waiting = tuple[str, str]
"""Namespace and name of an installation."""


@dataclass
class _Lookup:
    question: ImageQuestion
    waiting: set[Waiting] = field(default_factory=set)
    task: asyncio.Task[None] | None = None
    answer: ImageAnswer | None = None
    known: EntryPoint | None = None
    read_at: float = float("-inf")


class ImageLookup:
    """Answers questions about images, later."""

    def __init__(self, read: Read, on_answer: Callable[[str, str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._on_answer = on_answer
        self._clock = clock
        self._lookups: dict[str, _Lookup] = {}
        self._wanted: dict[Waiting, str] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def ask(self, namespace: str, name: str, question: ImageQuestion | None) -> ImageAnswer | None:
        """Return the answer, if it is there; else it is sought, and `on_answer` tells. None: the installation has no question any more."""
        waiting = (namespace, name)
        fingerprint = question.fingerprint if question else ""
        if (before := self._wanted.pop(waiting, "")) and before != fingerprint:
            self._leave(before, waiting)
        if question is None:
            return None
        lookup = self._lookups.setdefault(fingerprint, _Lookup(question))
        lookup.waiting.add(waiting)
        self._wanted[waiting] = fingerprint
        if lookup.known and question.reference.digest is None and self._clock() - lookup.read_at > FRESH:
            lookup.answer = None
        if lookup.answer is None and lookup.task is None:
            lookup.task = asyncio.create_task(self._seek(fingerprint, lookup))
        return lookup.answer

    async def close(self) -> None:
        """Stop all tasks and wait for them."""
        tasks = [lookup.task for lookup in self._lookups.values() if lookup.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _leave(self, fingerprint: str, waiting: Waiting) -> None:
        lookup = self._lookups[fingerprint]
        lookup.waiting.discard(waiting)
        if lookup.waiting:
            return
        if lookup.task is not None:
            lookup.task.cancel()
            lookup.task = None
        if lookup.answer is None or lookup.answer.entry_point is None:
            del self._lookups[fingerprint]
        idle = [key for key, found in self._lookups.items() if not found.waiting]
        for key in idle[: max(len(idle) - KEPT, 0)]:
            del self._lookups[key]

    async def _seek(self, fingerprint: str, lookup: _Lookup) -> None:
        failures = 0
        while lookup.answer is None or lookup.answer.entry_point is None:
            answer = await self._once(fingerprint, lookup)
            changed = answer != lookup.answer
            lookup.answer, lookup.known, lookup.read_at = answer, answer.entry_point, self._clock()
            if answer.entry_point is not None:
                lookup.task = None
            if changed:
                for waiting in sorted(lookup.waiting):
                    self._on_answer(*waiting)
            if answer.entry_point is None:
                failures += 1
                await asyncio.sleep(min(RETRY_BASE * 2 ** (failures - 1), RETRY_CAP) * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, guards nothing

    async def _once(self, fingerprint: str, lookup: _Lookup) -> ImageAnswer:
        try:
            async with self._slots:
                return ImageAnswer(fingerprint, await self._read(lookup.question))
        except ImageError as error:
            return ImageAnswer(fingerprint, lookup.known, str(error))
        except Exception as error:  # noqa: BLE001 - one image that cannot be digested must not end the others
            # Not its text, which might hold a login.
            _log.error("asking for the entry point of image %s failed: %s", lookup.question.image, type(error).__name__)
            return ImageAnswer(fingerprint, lookup.known, "its registry could not be asked (see the operator's log)")
