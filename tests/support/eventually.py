"""Wait for a condition instead of a time."""

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], object], seconds: float = 45.0) -> None:
    """Return as soon as the condition is true; fail when it is not within `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - whatever is waited for knows no event
            await asyncio.sleep(0.01)
