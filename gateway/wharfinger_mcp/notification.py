"""Notifications by their methods, and what those say of which request or list they are about.

Source: MCP 2025-11-25 and 2026-07-28, schema.
"""

from __future__ import annotations

from typing import Final

from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import Id, Notification, Request

ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
CANCELLED: Final = "notifications/cancelled"
INITIALIZED: Final = "notifications/initialized"
LOGGED: Final = "notifications/message"
PROGRESS: Final = "notifications/progress"
PROGRESS_TOKEN: Final = "progressToken"  # noqa: S105 - a member's name
ROOTS_CHANGED: Final = "notifications/roots/list_changed"
UPDATED: Final = "notifications/resources/updated"


def list_changed(kind: str) -> str:
    """Return the method that tells that a server's list of a kind has changed."""
    return f"notifications/{kind}/list_changed"


LISTS_CHANGED: Final = frozenset(map(list_changed, ("tools", "prompts", "resources")))


def cancelled_bytes(request_id: Id) -> bytes:
    """Return the body of the notification that nobody waits for an answer any more (2025-11-25, cancellation)."""
    return jsonrpc.notification_bytes(CANCELLED, {"requestId": jsonrpc.raw_json(request_id)})


def cancelled_id(message: Request | Notification) -> Id | None:
    """Return the id of the request of whose answer nobody waits any more; None where the message says something else."""
    return jsonrpc.id_member(message.params, "requestId") if message.method == CANCELLED else None
