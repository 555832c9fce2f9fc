"""Nobody can tell now."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unavailable:
    """What would have to be asked does not answer: the caller gets 503, never 401, which would send clients into a new login."""

    message: str
    """In words, for logs; without secrets."""
    retry_after: int = 1
    """Seconds to wait before asking again is worth it."""
