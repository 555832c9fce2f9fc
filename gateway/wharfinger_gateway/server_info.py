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
TOLD: Final = ("tools", "prompts", "resources")
"""The kinds of lists whose changes are told: of prompts and resources as far as their servers tell."""


def capabilities(gateway: Gateway) -> dict[str, Any]:
    """Return the `ServerCapabilities`: what the gateway selects, and nothing else."""
    prompts = any(one.selection.prompts for one in gateway.assignments)
    resources = any(one.selection.resources for one in gateway.assignments)
    found: dict[str, Any] = {"tools": {"listChanged": True}, "logging": {}}
    return (
        found
        | ({"prompts": {"listChanged": True}} if prompts else {})
        | ({"resources": {"subscribe": True, "listChanged": True}} if resources else {})
        | ({"completions": {}} if prompts or resources else {})
    )


def server_info(gateway: Gateway) -> dict[str, str]:
    """Return the `Implementation` of the schema."""
    return {"name": gateway.id, "title": gateway.title, "version": VERSION}
