"""Calls of modern clients that can be asked: what a server wants to know ends the request, and the client comes back with it.

Source: MCP 2026-07-28, "Multi Round-Trip Requests".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wharfinger_gateway.asking import (
    InputRequest,
    call_digest,
    input_required,
    is_allowed,
    read_answers,
    requires_input,
    with_answers,
)
from wharfinger_gateway.conversation import Conversation, Conversations
from wharfinger_gateway.dialogue import Going
from wharfinger_gateway.link import link_requests, required_links
from wharfinger_gateway.question import Question
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.relay import Relay
from wharfinger_gateway.request_state import LIFETIME, RequestState, StateSeal
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.jsonrpc import Params, Request, Response
from wharfinger_mcp.upstream import CallLimits


@dataclass(frozen=True, slots=True)
class Round:
    """One request of the client."""

    going: Going
    sent: Params
    """As the client sent them."""
    installation: str
    """Uid."""
    now: float
    """Seconds since the epoch."""

    def state(self, handle: str | None = None, state: str | None = None, replica: str = "") -> str:
        """Return what the client is to send back with his answers."""
        permit = self.going.question.permit
        sealed = RequestState(
            gateway=permit.gateway.id,
            principal=permit.principal.digest,
            call=call_digest(self.going.method, self.sent),
            installation=self.installation,
            expires_at=self.now + LIFETIME,
            handle=handle,
            state=state,
            replica=replica,
        )
        return StateSeal(permit.snapshot.session_key).seal(sealed)

    def resumed(self) -> RequestState | Refusal | None:
        """Return where the call goes on; None where it begins."""
        if "requestState" not in self.sent:
            return None
        permit = self.going.question.permit
        state = StateSeal(permit.snapshot.session_key).open(jsonrpc.text_member(self.sent, "requestState") or "", self.now)
        ours = (permit.gateway.id, permit.principal.digest, call_digest(self.going.method, self.sent), self.installation)
        if state is None or (state.gateway, state.principal, state.call, state.installation) != ours:
            return Refusal(Reason.STATE_INVALID)
        return state


def waits_at(question: Question) -> str:
    """Return the replica at which the call waits that a request goes on with; empty where none does."""
    if not isinstance(question.message, Request) or "requestState" not in question.message.params:
        return ""
    sent = jsonrpc.text_member(question.message.params, "requestState") or ""
    state = StateSeal(question.permit.snapshot.session_key).open(sent, 0.0)
    return state.replica if state is not None else ""


async def round_trip(one: Round, conversations: Conversations) -> Response | Refusal:
    """Carry a call as far as it goes without its caller; raises UpstreamError."""
    going, state = one.going, one.resumed()
    if isinstance(state, Refusal):
        return state
    if state is not None and state.handle is not None:
        parked = conversations.take(going.question.permit.principal.subject, state.handle)
        return Refusal(Reason.QUESTION_EXPIRED) if parked is None else await _go_on(one, parked, conversations)
    session = await going.unasked.ready(going.headers, CallLimits(going.seconds))
    if session.era is Era.LEGACY:
        return await _go_on(one, conversations.begin(going), conversations)
    params = going.params
    if state is not None or "inputResponses" in one.sent:
        params = with_answers(going.params, read_answers(one.sent), state.state if state else None)
    response = await going.send(params, going.relay.take, going.seconds)
    wanted = requires_input(response)
    if wanted is None:
        return response
    return _asking(one, wanted.input_requests, one.state(state=wanted.request_state))


async def _go_on(one: Round, conversation: Conversation, conversations: Conversations) -> Response | Refusal:
    going = one.going
    try:
        await conversation.answer(read_answers(one.sent))
        heard = await conversation.go_on(Relay(going.question, one.sent, conversation.progress_token))
    except BaseException:
        conversation.cancel()
        raise
    if isinstance(heard, Response):
        links = link_requests(required_links(heard))
        return _asking(one, links, one.state()) if links and _may_ask(one, links) else heard
    handle = conversations.park(conversation)
    return handle if isinstance(handle, Refusal) else _asking(one, heard, one.state(handle, replica=conversations.replica))


def _asking(one: Round, wanted: Mapping[str, Request | InputRequest], state: str) -> Response | Refusal:
    return Response(0, input_required(wanted, state)) if _may_ask(one, wanted) else Refusal(Reason.UPSTREAM_ASKS)


def _may_ask(one: Round, wanted: Mapping[str, Request | InputRequest]) -> bool:
    return all(is_allowed(request, one.going.asking.capabilities) for request in wanted.values())
