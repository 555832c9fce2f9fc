"""Who may come in, by the headers alone: identify, then the browser's checks, then route and authorize. Pure.

Invariants: without a valid token nothing else is looked at, so that a caller without one learns nothing. Unknown, forbidden and
switched-off gateways are one answer.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from wharfinger_crds import names
from wharfinger_gateway.authorize import Permit, authorize
from wharfinger_gateway.client_headers import client_headers
from wharfinger_gateway.identify import Credentials, identify
from wharfinger_gateway.incoming import NO_HEADERS, Headers, Incoming
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.settings import LOOPBACK
from wharfinger_gateway.snapshot import Snapshot
from wharfinger_mcp.trace_context import from_fields

_PREFIX: Final = f"{names.ENDPOINT_PREFIX}/"
_ENDPOINT: Final = re.compile(r"([-a-z0-9]{1,63}\.[-a-z0-9]{1,63})(?:/sse(?:/messages)?)?")
"""Streamable HTTP at the gateway's id, HTTP+SSE below it."""


def admit(incoming: Incoming, snapshot: Snapshot | None, credentials: Credentials, now: float, *, loopback: bool) -> Permit | Refusal:
    """Return the permit for a request; `loopback` tells that the gateway listens on the loopback interface only."""
    if not incoming.path.startswith(_PREFIX):
        return Refusal(Reason.PATH_UNKNOWN)
    if snapshot is None:
        return Refusal(Reason.NOT_READY)
    gateway = gateway_at(incoming.path)
    principal = identify(incoming.headers.getall("Authorization", []), gateway or "", credentials, snapshot, now)
    if isinstance(principal, Refusal):
        return principal
    foreign = rebinding(incoming.headers, snapshot.public_origin, loopback=loopback)
    if foreign is not None:
        return Refusal(foreign)
    if gateway is None:
        return Refusal(Reason.PATH_UNKNOWN)
    permit = authorize(principal, gateway, snapshot)
    return permit if isinstance(permit, Refusal) else _with_head(permit, incoming.headers)


def gateway_at(path: str) -> str | None:
    """Return the id of the gateway whose endpoint has that path; None where no gateway's can."""
    endpoint = _ENDPOINT.fullmatch(path.removeprefix(_PREFIX)) if path.startswith(_PREFIX) else None
    return endpoint[1] if endpoint else None


def _with_head(permit: Permit, headers: Headers) -> Permit | Refusal:
    """Return the permit with what of the head goes on."""
    names = permit.gateway.client_headers
    passed, trace = client_headers(names, headers) if names else NO_HEADERS, from_fields(headers)
    if isinstance(passed, Refusal):
        return passed
    return Permit(permit.principal, permit.gateway, permit.snapshot, passed, trace) if passed or trace else permit


def rebinding(headers: Headers, public_origin: str, *, loopback: bool) -> Reason | None:
    """Return why a browser must not be behind this request (MCP 2025-11-25, transports, "security warning"), None where all is well.

    An Origin must be the public URL's. On the loopback interface, where a page can get at the gateway by rebinding a name, Host must be a
    loopback name or the public URL's, and a loopback Origin is fine.
    """
    for origin in headers.getall("Origin", []):
        if origin.lower() != public_origin and not (loopback and _host(origin) in LOOPBACK):
            return Reason.ORIGIN_FORBIDDEN
    if loopback:
        allowed = LOOPBACK | {_host(public_origin)}
        if any(_host(f"//{host}") not in allowed for host in headers.getall("Host", [])):
            return Reason.HOST_FORBIDDEN
    return None


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
