"""One permitted call to one server: what is sent, and what its answer means.

Invariants: nothing of the client's HTTP request goes upstream but the headers that the gateway lets through, and those with the call alone:
a session is the principal's, whoever of his clients made it. What else does is made here: the tool's own name, the client's params, the
connection's headers and those of the protocol. A call is sent once; a second time only where the server refused its headers unread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from wharfinger_gateway.asking import asking, missing_capabilities, requires_input
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.client_headers import beside
from wharfinger_gateway.conversation import Conversations
from wharfinger_gateway.dialogue import Going, call_once, converse
from wharfinger_gateway.incoming import NO_HEADERS
from wharfinger_gateway.link import required_links, understands_links
from wharfinger_gateway.present_tool import headers_now
from wharfinger_gateway.question import Question
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.relay import Relay
from wharfinger_gateway.resolve import Choice
from wharfinger_gateway.round_trip import Round, round_trip
from wharfinger_gateway.trace import Trace
from wharfinger_gateway.upstreams import Reached, Upstreams
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.errors import (
    BusyError,
    EgressRefusedError,
    HeadersRefusedError,
    NotSentError,
    RefusedError,
    TimedOutError,
    UpstreamError,
)
from wharfinger_mcp.jsonrpc import Params, Response
from wharfinger_mcp.notification import PROGRESS_TOKEN
from wharfinger_mcp.resource_tool import tool_result
from wharfinger_mcp.revision import Modern
from wharfinger_mcp.trace_context import BAGGAGE, TRACE_PARENT, TRACE_STATE, TraceContext, carried
from wharfinger_mcp.upstream import CallLimits

_log = logging.getLogger(__name__)

_OF_TRACES: Final = frozenset({TRACE_PARENT, TRACE_STATE, BAGGAGE})
_NOT_PASSED_ON: Final = frozenset({"task", "inputResponses", "requestState"})


class Served(msgspec.Struct, frozen=True):
    """The server's answer."""

    response: Response
    is_error: bool
    """The tool failed, by the server's own word."""
    asks: bool = False
    """It is no answer yet: the server wants to know something first."""


class Servers(msgspec.Struct, frozen=True):
    """Where calls go, and those that wait there for their callers."""

    upstreams: Upstreams
    conversations: Conversations


class Target(msgspec.Struct, frozen=True):
    """What a server is asked for."""

    method: str
    params: Params
    """Under the server's own names."""
    headers: Mapping[str, str] = NO_HEADERS
    """That repeat arguments."""
    is_resource_of_a_tool: bool = False
    """The answer is what a resource holds, and becomes the result of the tool that stands for it."""
    trace: Trace | None = None

    def __repr__(self) -> str:
        return f"Target({self.method})"


async def forward(question: Question, choice: Choice, target: Target, params: Params, servers: Servers) -> Served | Refusal:
    """Send a request to the chosen installation and return its answer; what it says before goes to the caller at once.

    `params` are the caller's.
    """
    try:
        going = _going(question, choice, target, params, servers.upstreams)
        try:
            response = await _send(going, params, choice.installation.uid, servers.conversations)
        except HeadersRefusedError:
            going = await _with_present_headers(
                going, target, servers.upstreams.of(choice.installation, question.permit.principal, going.asking)
            )
            response = await _send(going, params, choice.installation.uid, servers.conversations)
    except UpstreamError as error:
        _log.warning("%s at installation %s: %s", target.method, choice.installation.path, error.message)
        return Refusal(_reason(error), error.message if isinstance(error, EgressRefusedError) else "")
    if isinstance(response, Refusal):
        return response
    if response.error is not None:
        links = required_links(response)
        if links and not understands_links(question, going.asking):
            return Refusal(Reason.UPSTREAM_LINKS, "; ".join(map(str, links)))
        missing = missing_capabilities(response.error)
        if missing is not None and not _is_the_clients(missing, question):
            return Refusal(Reason.UPSTREAM_NEEDS, ", ".join(missing))
        return Served(response, is_error=True)
    if question.modern and going.asking.key and requires_input(response) is not None:
        return Served(response, is_error=False, asks=True)
    return _read(response) if target.is_resource_of_a_tool else _served(response)


def _going(question: Question, choice: Choice, target: Target, params: Params, upstreams: Upstreams) -> Going:
    permit, relay, asks = question.permit, Relay(question, params), asking(question)
    server = upstreams.of(choice.installation, permit.principal, asks)
    context = None if target.trace is None else target.trace.sent(target.method)
    return Going(
        question=question,
        asking=asks,
        upstream=server.upstream,
        unasked=server.unasked,
        method=target.method,
        params=_outgoing(target.params, permit, relay.token, context),
        headers=server.headers,
        once={**_client_headers(permit, choice, server.headers, context), **target.headers},
        log_level=question.asked_log_level,
        relay=relay,
        seconds=permit.gateway.call_timeout,
    )


async def _with_present_headers(going: Going, target: Target, server: Reached) -> Going:
    """Return the call with the headers that its tool has by its present definition.

    Raises HeadersRefusedError where they are the same, UpstreamError where the server does not list.
    """
    headers = await headers_now(going.params, server) if target.method == "tools/call" else target.headers
    if headers == target.headers:
        raise HeadersRefusedError("the server does not take the headers that follow from its own definition of the tool")
    once = {name: value for name, value in going.once.items() if name not in target.headers}
    return msgspec.structs.replace(going, once={**once, **headers})


def _is_the_clients(missing: tuple[str, ...], question: Question) -> bool:
    """Tell whether a server misses what a modern client really did not declare, so that the error is for it."""
    return isinstance(question.rules, Modern) and not any(name in question.rules.capabilities for name in missing)


async def _send(going: Going, sent: Params, installation: str, conversations: Conversations) -> Response | Refusal:
    if going.question.log_level is not None and going.unasked.may_log:
        said, limits = going.question.said_log_level, CallLimits(going.seconds)
        await going.unasked.hear_logs(said, going.headers, limits, is_shared=not going.asking.key)
    if not going.asking.key:
        return await call_once(going)
    if going.question.modern:
        with going.unasked.in_use():
            return await round_trip(Round(going, sent, installation, time.time()), conversations)
    return await converse(going)


def _read(response: Response) -> Served | Refusal:
    """Return what a resource holds, as the result of the tool that stands for it."""
    result = tool_result(response.result or {})
    return Refusal(Reason.UPSTREAM_FAILED) if result is None else _served(Response(response.id, result))


def _served(response: Response) -> Served | Refusal:
    """Look at what of a result decides anything here."""
    members = response.result or {}
    is_error, kind = bytes(members.get("isError", b"null")), members.get("resultType")
    if is_error not in (b"null", b"false", b"true"):
        return Refusal(Reason.UPSTREAM_FAILED)
    if kind is not None and bytes(kind) not in (b"null", b'"complete"'):
        word = jsonrpc.text_member(members, "resultType")
        if word != "complete":
            return Refusal(Reason.UPSTREAM_FAILED if word is None else Reason.UPSTREAM_ASKS)
    return Served(response, is_error=is_error == b"true")


def _outgoing(params: Params, permit: Permit, progress_token: int | None, context: TraceContext | None) -> Params:
    """Return the params with our progress token, the trace as it goes on, and without what is not passed back. Baggage goes on where the
    gateway lists it among the client's headers."""
    passed = {name: value for name, value in params.items() if name not in _NOT_PASSED_ON}
    meta = jsonrpc.members(passed["_meta"]) if "_meta" in passed else None
    if meta is not None and meta.pop(PROGRESS_TOKEN, None) is not None:
        if progress_token is not None:
            meta[PROGRESS_TOKEN] = jsonrpc.raw_json(progress_token)
        passed["_meta"] = jsonrpc.raw_json(meta)
    if context is not None or (meta is not None and not _OF_TRACES.isdisjoint(meta)):
        passed["_meta"] = jsonrpc.raw_json(carried(meta or {}, context, baggage=BAGGAGE in permit.gateway.client_headers))
    return passed


def _client_headers(permit: Permit, choice: Choice, managed: Mapping[str, str], context: TraceContext | None) -> Mapping[str, str]:
    if not choice.installation.connection.client_headers or (not permit.client_headers and context is None):
        return NO_HEADERS
    return beside(managed, {**permit.client_headers, **(context.members() if context else {})})


def _reason(error: UpstreamError) -> Reason:
    match error:
        case BusyError():
            return Reason.UPSTREAM_BUSY
        case EgressRefusedError():
            return Reason.EGRESS_REFUSED
        case NotSentError():
            return Reason.UPSTREAM_UNREACHABLE
        case TimedOutError():
            return Reason.UPSTREAM_TIMEOUT
        case HeadersRefusedError():
            return Reason.UPSTREAM_HEADERS
        case RefusedError() if error.status in (401, 403):
            return Reason.UPSTREAM_REFUSED
        case _:
            return Reason.UPSTREAM_FAILED
