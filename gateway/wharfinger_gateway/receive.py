"""The body of an admitted POST to a question that can be answered: media types, size, JSON-RPC, era, session."""

from __future__ import annotations

import dataclasses

from wharfinger_gateway.admission import Admission
from wharfinger_gateway.incoming import Incoming
from wharfinger_gateway.legacy import contradiction, session_of
from wharfinger_gateway.question import Opening, Question, Rules, Within
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.session import Session
from wharfinger_gateway.sessions import Sessions
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import Batch, Malformed, Message, Request
from wharfinger_mcp.revision import Modern, Rejection, classify


async def receive(incoming: Incoming, admission: Admission, sessions: Sessions, now: float) -> Question | Refusal:
    """Read the body and return the question in it."""
    if admission.media is not None:
        return Refusal.of(admission.media)
    permit = admission.permit
    body = await incoming.read(permit.gateway.request_bytes)
    if isinstance(body, Refusal):
        return body
    message = jsonrpc.parse(body)
    if isinstance(message, Malformed):
        return Refusal.of(Rejection(400, message.code, message.message), message.id)
    rules = _rules(incoming, admission, message, sessions, now)
    if isinstance(rules, Refusal):
        return dataclasses.replace(rules, request_id=message.id if isinstance(message, Request) else None)
    return Question(permit, message, incoming, rules, body, isinstance(rules, Modern))


def _rules(incoming: Incoming, admission: Admission, message: Message | Batch, sessions: Sessions, now: float) -> Rules | Refusal:
    rules = classify(admission.routing, message)
    if isinstance(rules, Rejection):
        return Refusal.of(rules)
    if isinstance(rules, Modern):
        return rules
    if isinstance(message, Request) and message.method == "initialize":
        # An id of an old session beside it means nothing: clients send one after a 404.
        return Opening(message)
    session = admission.session
    if session is None:
        session = admission.session = session_of(admission.permit, incoming.headers, admission.seal, now)
    if isinstance(session, Refusal):
        return session
    return contradiction(session, admission.routing.version, message) or within(session, sessions, now)


def within(session: Session, sessions: Sessions, now: float) -> Within | Refusal:
    """Return the rules of a session, unless it has ended or is lost."""
    if sessions.is_lost(session):
        return Refusal(Reason.SESSION_UNKNOWN)
    return Within(session, sessions.of(session, now))
