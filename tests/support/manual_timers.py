"""A clock that only moves when told to, in place of the event loop's."""

import heapq
from collections.abc import Callable
from typing import Any


class Alarm:
    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.callback, self.args, self.cancelled = callback, args, False

    def cancel(self) -> None:
        self.cancelled = True


class ManualTimers:
    def __init__(self) -> None:
        self.now = 0.0
        self.pending: list[tuple[float, int, Alarm]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Alarm:
        alarm = Alarm(callback, args)
        heapq.heappush(self.pending, (when, len(self.pending), alarm))
        return alarm

    def advance(self, seconds: float) -> None:
        self.now += seconds
        while self.pending and self.pending[0][0] <= self.now:
            _, _, alarm = heapq.heappop(self.pending)
            if not alarm.cancelled:
                alarm.callback(*alarm.args)
