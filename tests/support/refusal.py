"""What the API server says to a request that it refuses."""

from collections.abc import Awaitable
from typing import Any

from wharfinger_cluster.errors import Forbidden, Invalid


async def refusal(request: Awaitable[Any]) -> str | None:
    """Return the words of a refusal; None where the request was granted. Every other failure is raised."""
    try:
        await request
    except (Forbidden, Invalid) as error:
        return str(error)
    return None


async def refused_with(request: Awaitable[Any], words: str) -> bool:
    """Tell whether the request is refused with these words in the refusal."""
    return words in (await refusal(request) or "")


async def is_granted(request: Awaitable[Any]) -> bool:
    """Tell whether the request is granted."""
    return await refusal(request) is None
