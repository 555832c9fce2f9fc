"""What callers hold of something that a replica has a limited number of. Pure; belongs to one event loop.

Invariants: nobody pays for another's excess. What can be taken back is taken from whoever holds most, and of his what he has not used for the
longest; what is in use only where everything is. Of what cannot be taken back nobody gets more than a tenth.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from itertools import chain
from typing import Final, Generic, TypeVar

SHARE: Final = 10
"""What part of a pool is the most that one caller gets of what is not taken back."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Pool(Generic[K, V]):
    """What is held, by holder and key. A holder is a caller in whatever words, the same for all his clients."""

    __slots__ = ("_held", "_size", "share", "whole")

    def __init__(self, whole: int) -> None:
        self.whole = whole
        """How many there are for everybody."""
        self.share = max(1, whole // SHARE)
        """How many there are for one."""
        self._held: dict[str, OrderedDict[K, V]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[tuple[str, K, V]]:
        for holder, own in self._held.items():
            for key, value in own.items():
                yield holder, key, value

    def has(self, holder: str, key: K) -> bool:
        """Tell whether something is held."""
        return key in self._held.get(holder, ())

    def use(self, holder: str, key: K) -> V | None:
        """Return what is held, as used just now; None where it is not."""
        own = self._held.get(holder)
        value = None if own is None else own.get(key)
        if own is not None and value is not None:
            own.move_to_end(key)
        return value

    def put(self, holder: str, key: K, value: V) -> None:
        """Hold something new."""
        self._held.setdefault(holder, OrderedDict())[key] = value
        self._size += 1

    def take(self, holder: str, key: K) -> V | None:
        """Hold something no more, and return it; None where it was not held."""
        own = self._held.get(holder)
        if own is None or key not in own:
            return None
        value = own.pop(key)
        self._size -= 1
        if not own:
            del self._held[holder]
        return value

    def held_by(self, holder: str) -> int:
        """Return how many a holder has."""
        return len(self._held.get(holder, ()))

    def spare(self, is_in_use: Callable[[V], bool]) -> tuple[str, K]:
        """Return the holder and the key of what makes room for something new; there must be something."""
        most = max(self._held, key=self.held_by)
        for holder in chain((most,), self._by_number()):
            for key, value in self._held[holder].items():
                if not is_in_use(value):
                    return holder, key
        return most, next(iter(self._held[most]))

    def _by_number(self) -> Iterator[str]:
        # Sorted only once it is asked for, which is seldom: whoever has most has mostly something that he does not use.
        yield from sorted(self._held, key=self.held_by, reverse=True)
