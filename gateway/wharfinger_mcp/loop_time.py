"""The event loop's time without asking for the loop, which costs CPython 3.11 a system call.

asyncio's loops and uvloop's count the seconds of the monotonic clock; uvloop's own reading is some milliseconds old at most.
"""

from __future__ import annotations

from time import monotonic as loop_time

__all__ = ["loop_time"]
