"""Clients of the revisions with a handshake (2025-03-26 to 2025-11-25): initialize, and the session that every later request names.

Pure: time and randomness are arguments. Source: specification 2025-11-25, lifecycle and streamable HTTP.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Raw

from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.incoming import Headers
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.server_info import capabilities as offered
from wharfinger_gateway.server_info import server_info
from wharfinger_gateway.session import Seal, Session
from wharfinger_mcp import header, jsonrpc, revision
from wharfinger_mcp.envelope import ASKABLE
from wharfinger_mcp.jsonrpc import Batch, Message, Request
from wharfinger_mcp.revision import Rejection


@dataclass(frozen=True, slots=True)
class Fresh:
    """What is new in a session."""

    nonce: str
    replica: str


def initialize(permit: Permit, request: Request, now: float, fresh: Fresh, served: Collection[str] = revision.LEGACY) -> Session | Refusal:
    """Return the session that an `initialize` opens: in the client's revision if it is served, else in the newest."""
    wanted = jsonrpc.text_member(request.params, "protocolVersion")
    if wanted is None:
        return Refusal(Reason.PARAMS_INVALID, detail="protocolVersion must be a string", request_id=request.id)
    version = wanted if wanted in served else revision.LEGACY[0]
    bound = any(name in capabilities(request) for name in ASKABLE)
    return Session(permit.gateway.id, permit.principal.digest, version, int(now), fresh.nonce, fresh.replica, bound)


def capabilities(request: Request) -> Mapping[str, Raw]:
    """Return what the client of an `initialize` declares."""
    return jsonrpc.members(request.params["capabilities"]) or {} if "capabilities" in request.params else {}


def initialize_result(permit: Permit, session: Session) -> Mapping[str, Any]:
    """Return the InitializeResult."""
    return {"protocolVersion": session.version, "capabilities": offered(permit.gateway), "serverInfo": server_info(permit.gateway)}


def session_of(permit: Permit, headers: Headers, seal: Seal, now: float) -> Session | Refusal:
    """Return the session that a request names: sealed by us, for this gateway and this caller."""
    given = headers.getall(header.SESSION_ID, [])
    if not given:
        return Refusal(Reason.SESSION_MISSING)
    return opened(permit, given[0], seal, now) if len(given) == 1 else Refusal(Reason.SESSION_UNKNOWN)


def opened(permit: Permit, session_id: str, seal: Seal, now: float) -> Session | Refusal:
    """Return the session of an id: sealed by us, for this gateway and this caller."""
    session = seal.open(session_id, now)
    if session is None or (session.gateway, session.principal) != (permit.gateway.id, permit.principal.digest):
        return Refusal(Reason.SESSION_UNKNOWN)
    return session


def contradiction(session: Session, stated: str | None, message: Message | Batch) -> Refusal | None:
    """Return how a request contradicts what its session negotiated; `stated` is the version header's value."""
    if stated is not None and stated != session.version:
        why = f"{header.PROTOCOL_VERSION} says {stated[:64]!r}, and the session negotiated {session.version}"
    elif isinstance(message, Batch) and session.version != revision.BATCHING:
        why = f"revision {session.version} has one message in a body"
    else:
        return None
    return Refusal.of(Rejection(400, jsonrpc.INVALID_REQUEST, why))
