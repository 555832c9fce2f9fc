"""Messages about what clients have subscribed to: that lists have changed. Pure.

Source: MCP 2026-07-28, subscriptions; 2025-11-25, "List Changed Notification".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from wharfinger_gateway.server_info import TOLD
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import Id, Params
from wharfinger_mcp.notification import ACKNOWLEDGED, UPDATED, list_changed

SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"
_filter = msgspec.json.Decoder(dict[str, Any])


def wanted_kinds(params: Params) -> tuple[str, ...] | None:
    """Return the kinds that a `subscriptions/listen` asks for, those that are served; None where it asks for nothing that can be read."""
    try:
        wanted = _filter.decode(params.get("notifications", Raw(b"")))
    except msgspec.DecodeError:
        return None
    return tuple(kind for kind in TOLD if wanted.get(f"{kind}ListChanged") is True)


def wanted_resources(params: Params) -> tuple[str, ...]:
    """Return the URIs of which a `subscriptions/listen` asks to hear."""
    try:
        wanted = _filter.decode(params.get("notifications", Raw(b""))).get("resourceSubscriptions")
    except msgspec.DecodeError:
        return ()
    return tuple(dict.fromkeys(uri for uri in wanted if isinstance(uri, str))) if isinstance(wanted, list) else ()


def acknowledgement(subscription: Id, kinds: tuple[str, ...], resources: Collection[str]) -> bytes:
    """Return the message that says what is granted."""
    told = {"resourceSubscriptions": list(resources)} if resources else {}
    granted = jsonrpc.raw_json({f"{kind}ListChanged": True for kind in kinds} | told)
    return jsonrpc.notification_bytes(ACKNOWLEDGED, {"notifications": granted, **_meta(subscription)})


def announcement(kind: str | None, uri: str | None, subscription: Id | None = None) -> bytes:
    """Return the message that a list or a resource has changed, within a subscription or to a legacy client."""
    if uri is not None:
        about = {"uri": jsonrpc.raw_json(uri), **(_meta(subscription) if subscription is not None else {})}
        return jsonrpc.notification_bytes(UPDATED, about)
    return jsonrpc.notification_bytes(list_changed(str(kind)), _meta(subscription) if subscription is not None else {})


def ending(subscription: Id) -> Mapping[str, Any]:
    """Return the result that ends a subscription in good order."""
    return {"resultType": "complete", **_meta(subscription)}


def _meta(subscription: Id) -> Params:
    return {"_meta": jsonrpc.raw_json({SUBSCRIPTION_ID: subscription})}
