"""What one caller may take of a gateway: requests a minute, and calls at a time, in this replica. Pure; time is an argument.

Invariants: a caller is a principal's subject at one gateway, so that all his tokens count together and nobody else is counted with him.
Requests come from a bucket that holds a minute's worth and fills evenly: kept is only the moment at which it is full again (GCRA). What is kept
is bounded: of callers beyond that, the one heard of longest ago begins with a full bucket; of calls, only those under way.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_mcp.jsonrpc import Batch, Message, Request

MAX_CALLERS: Final = 10_000
_MINUTE: Final = 60.0

Key = tuple[str, str]
"""Gateway and caller."""


class Buckets:
    """Requests of each caller."""

    def __init__(self, callers: int = MAX_CALLERS) -> None:
        self._callers = callers
        self._full_at: OrderedDict[Key, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Key, per_minute: int, count: int, now: float) -> float:
        """Take so many requests at `now` (monotonic seconds); return 0, or the seconds after which they can be had, and then take none."""
        full_at = max(self._full_at.get(key, now), now) + count * _MINUTE / per_minute
        # A float's last digits must not cost the caller his last request.
        wait = full_at - now - _MINUTE - 1e-6
        if wait > 0:
            return wait
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._callers:
            self._full_at.popitem(last=False)
        return 0.0


class Limits:
    """The limits of every gateway, as its permits name them."""

    def __init__(self) -> None:
        self._buckets = Buckets()
        self._calls: dict[Key, int] = {}

    def request(self, permit: Permit, now: float, count: int = 1) -> Refusal | None:
        """Count requests at `now` (monotonic seconds), or return the refusal of them all."""
        allowed = permit.gateway.requests_per_minute
        if allowed is None or count <= 0:
            return None
        wait = math.ceil(self._buckets.take(_key(permit), allowed, count, now))
        return Refusal(Reason.RATE_EXCEEDED, detail=f"{allowed} a minute. Try again in {wait} s.", wait=wait) if wait else None

    def more_in(self, message: Message | Batch, permit: Permit, now: float) -> Refusal | None:
        """Count the requests of a batch beyond the first, which its HTTP request was counted as; or return the refusal of the whole."""
        if not isinstance(message, Batch):
            return None
        return self.request(permit, now, sum(isinstance(one, Request) for one in message.messages) - 1)

    def begin(self, permit: Permit) -> Key | Refusal | None:
        """Count a call that begins, and return what to `end` it by; or return its refusal."""
        allowed = permit.gateway.concurrent_calls
        if allowed is None:
            return None
        key = _key(permit)
        under_way = self._calls.get(key, 0)
        if under_way >= allowed:
            return Refusal(
                Reason.CALLS_EXCEEDED, detail=f"{allowed} at a time. The call was not carried out; try again when one has ended."
            )
        self._calls[key] = under_way + 1
        return key

    def end(self, key: Key | None) -> None:
        """Count the end of a call."""
        if key is None:
            return
        left = self._calls[key] - 1
        if left:
            self._calls[key] = left
        else:
            del self._calls[key]


def _key(permit: Permit) -> Key:
    return permit.gateway.id, permit.principal.subject
