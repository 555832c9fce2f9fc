"""How a message of HTTP is written: in one go where that is cheap, and without copying a large body behind its head."""

from __future__ import annotations

import asyncio
from typing import Final

COPIED_BYTES: Final = 16 * 1024
"""Up to which a body is put behind its head rather than written beside it."""


def write(transport: asyncio.Transport, head: bytes, body: bytes) -> None:
    """Write a head and what belongs to it."""
    if len(body) > COPIED_BYTES:
        transport.writelines((head, body))
    else:
        transport.write(head + body)
