"""The body of an admitted POST to a question that can be answered: media types, size, JSON-RPC, era, session."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.incoming import Headers, Incoming
from wharfinger_gateway.legacy import contradiction, session_of
from wharfinger_gateway.question import Opening, Question, Rules, Within
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.session import Seal, Session
from wharfinger_gateway.sessions import Sessions
from wharfinger_mcp import header, jsonrpc
from wharfinger_mcp.jsonrpc import Batch, Malformed, Message, Request
from wharfinger_mcp.media_type import reject_media
from wharfinger_mcp.revision import Modern, Rejection, classify


@dataclass(frozen=True, slots=True)
class SealedSessions:
    """The key to session ids, and what is kept of sessions here."""

    seal: Seal
    sessions: Sessions


async def receive(incoming: Incoming, permit: Permit, sealed: SealedSessions, now: float) -> Question | Refusal:
    """Read the body and return the question in it."""
    media = reject_media(incoming.headers) or _reject_encoding(incoming.headers)
    if media is not None:
        return Refusal.of(media)
    body = await incoming.read(permit.gateway.request_bytes)
    if isinstance(body, Refusal):
        return body
    message = jsonrpc.parse(body)
    if isinstance(message, Malformed):
        return Refusal.of(Rejection(400, message.code, message.message), message.id)
    rules = _rules(incoming, permit, message, sealed, now)
    if isinstance(rules, Refusal):
        return dataclasses.replace(rules, request_id=message.id if isinstance(message, Request) else None)
    return Question(permit, message, incoming, rules, body)


def _rules(incoming: Incoming, permit: Permit, message: Message | Batch, sealed: SealedSessions, now: float) -> Rules | Refusal:
    rules = classify(incoming.headers, message)
    if isinstance(rules, Rejection):
        return Refusal.of(rules)
    if isinstance(rules, Modern):
        return rules
    if isinstance(message, Request) and message.method == "initialize":
        # An id of an old session beside it means nothing: clients send one after a 404.
        return Opening(message)
    session = session_of(permit, incoming.headers, sealed.seal, now)
    if isinstance(session, Refusal):
        return session
    against = contradiction(session, header.sole(incoming.headers, header.PROTOCOL_VERSION), message)
    return against or within(session, sealed.sessions, now)


def within(session: Session, sessions: Sessions, now: float) -> Within | Refusal:
    """Return the rules of a session, unless it has ended or is lost."""
    if sessions.is_lost(session):
        return Refusal(Reason.SESSION_UNKNOWN)
    return Within(session, sessions.of(session, now))


def _reject_encoding(headers: Headers) -> Rejection | None:
    if any(coding.strip().lower() != "identity" for coding in headers.getall("Content-Encoding", [])):
        return Rejection(415, jsonrpc.INVALID_REQUEST, "Content-Encoding: send the body as it is")
    return None
