"""Whether the caller may use the gateway at all. Pure; asked at every request.

Invariants: permission is a value, `Permit`, without which nothing is listed or forwarded. Unknown and forbidden are one answer.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wharfinger_gateway.incoming import NO_HEADERS
from wharfinger_gateway.principal import Principal
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.snapshot import Gateway, Snapshot, Visibility
from wharfinger_mcp.trace_context import TraceContext


class Permit(msgspec.Struct, frozen=True):
    """The caller may use the gateway, for this request."""

    principal: Principal
    gateway: Gateway
    snapshot: Snapshot
    client_headers: Mapping[str, str] = NO_HEADERS
    """What of his headers goes on to HTTP servers."""
    trace: TraceContext | None = None
    """The trace that his HTTP request is part of."""
    worked_out: dict[object, object] = {}
    """What follows from all of that and from nothing else, so that it is worked out once for requests that share a permit."""

    def __repr__(self) -> str:
        return f"Permit({self.principal!r}, {self.gateway.id})"


def authorize(principal: Principal, gateway_id: str, snapshot: Snapshot) -> Permit | Refusal:
    """Return the permit to use the gateway of that id, or why there is none."""
    gateway = snapshot.gateways.get(gateway_id)
    if gateway is None:
        return _no(Reason.GATEWAY_UNKNOWN, principal)
    if not _is_open(gateway, principal):
        return _no(Reason.DOOR_CLOSED, principal)
    if principal.gateways is not None and gateway_id not in principal.gateways:
        return _no(Reason.TOKEN_OF_ANOTHER_GATEWAY, principal)
    if not sees(principal, gateway.visibility):
        return _no(Reason.GATEWAY_HIDDEN, principal)
    return Permit(principal, gateway, snapshot)


def _no(reason: Reason, principal: Principal) -> Refusal:
    return Refusal(reason, caller=principal.subject, credential=principal.credential)


def _is_open(gateway: Gateway, principal: Principal) -> bool:
    match principal.door:
        case "BearerToken":
            return gateway.bearer_tokens
        case "OAuth":
            return gateway.oauth
        case "ServiceAccount":
            return gateway.service_accounts
        case "IdentityProvider":
            return principal.identity_provider in gateway.tokens_of


def sees(principal: Principal, visibility: Visibility) -> bool:
    """Tell whether the caller is among those whom the visibility names."""
    match visibility.scope:
        case "Org":
            return True
        case "Team":
            return not principal.teams.isdisjoint(visibility.teams)
        case "Personal":
            return principal.kind == "user" and principal.user == visibility.owner
