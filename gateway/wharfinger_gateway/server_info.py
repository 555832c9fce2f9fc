"""What a gateway says of itself to clients."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from wharfinger_gateway.snapshot import Gateway


def _version() -> str:
    try:
        return version("wharfinger")
    except PackageNotFoundError:
        return "0"


VERSION: Final = _version()
"""`0` where the program runs from a checkout."""
CAPABILITIES: Final[dict[str, Any]] = {"tools": {"listChanged": True}, "logging": {}}


def server_info(gateway: Gateway) -> dict[str, str]:
    """Return the `Implementation` of the schema."""
    return {"name": gateway.id, "title": gateway.title, "version": VERSION}
