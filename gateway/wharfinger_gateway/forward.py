"""One permitted call to one server: what is sent, and what its answer means.

Invariants: nothing of the client's HTTP request goes upstream but the headers that the gateway lets through, and those with the call alone:
a session is the principal's, whoever of his clients made it. What else does is made here: the tool's own name, the client's params, the
connection's headers and those of the protocol. A call is sent once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.catalog import Listed
from wharfinger_gateway.client_headers import beside
from wharfinger_gateway.incoming import NO_HEADERS
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.resolve import Choice
from wharfinger_gateway.trace import Trace
from wharfinger_gateway.upstreams import Upstreams
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.errors import BusyError, EgressRefusedError, NotSentError, RefusedError, TimedOutError, UpstreamError
from wharfinger_mcp.jsonrpc import Params, Response
from wharfinger_mcp.param_header import headers_for
from wharfinger_mcp.resource_tool import read_params, tool_result
from wharfinger_mcp.trace_context import BAGGAGE, TRACE_PARENT, TRACE_STATE, TraceContext, carried
from wharfinger_mcp.upstream import CallLimits

_log = logging.getLogger(__name__)

_NOT_PASSED_ON: Final = frozenset({"task"})
_OF_TRACES: Final = frozenset({TRACE_PARENT, TRACE_STATE, BAGGAGE})
_PROGRESS_TOKEN: Final = "progressToken"  # noqa: S105 - a member's name


class _Peek(msgspec.Struct, rename="camel"):
    """What of a CallToolResult decides anything here."""

    is_error: bool | None = None
    result_type: str | None = None


_peek = msgspec.json.Decoder(_Peek)


@dataclass(frozen=True, slots=True)
class Served:
    """The server's answer."""

    response: Response
    is_error: bool
    """The tool failed, by the server's own word."""


async def forward(  # noqa: PLR0913 - what a call is made of
    permit: Permit, choice: Choice, listed: Listed, params: Params, upstreams: Upstreams, *, trace: Trace | None = None
) -> Served | Refusal:
    """Send the call to the chosen installation and return what it says."""
    try:
        upstream, headers = upstreams.of(choice.installation, permit.principal)
        context = None if trace is None else trace.sent()
        once = {**_client_headers(permit, choice, headers, context), **_param_headers(listed, params)}
        method = "tools/call" if listed.resource is None else "resources/read"
        limits = CallLimits(seconds=permit.gateway.call_timeout)
        response = await upstream.call(method, _outgoing(params, listed, permit, context), headers, limits, once=once)
    except UpstreamError as error:
        _log.warning("call of %s at installation %s: %s", listed.tool.name, choice.installation.path, error.message)
        return Refusal(_reason(error), error.message if isinstance(error, EgressRefusedError) else "")
    if response.error is not None:
        return Served(response, is_error=True)
    return _served(response) if listed.resource is None else _read(response)


def _read(response: Response) -> Served | Refusal:
    """Return what a resource holds, as the result of the tool that stands for it."""
    result = tool_result(response.result or msgspec.Raw(b""))
    return Refusal(Reason.UPSTREAM_FAILED) if result is None else _served(Response(response.id, result))


def _served(response: Response) -> Served | Refusal:
    try:
        peek = _peek.decode(response.result or b"")
    except (msgspec.DecodeError, RecursionError):
        return Refusal(Reason.UPSTREAM_FAILED)
    if peek.result_type not in (None, "complete"):
        return Refusal(Reason.UPSTREAM_ASKS)
    return Served(response, is_error=bool(peek.is_error))


def _outgoing(params: Params, listed: Listed, permit: Permit, context: TraceContext | None) -> Params:
    """Return the params for the server: its own name for the tool or resource, the trace as it goes on, and without what is not passed back
    either. Baggage goes on where the gateway lists it among the client's headers."""
    passed = {name: value for name, value in params.items() if name not in _NOT_PASSED_ON}
    meta = jsonrpc.members(passed["_meta"]) if "_meta" in passed else None
    if meta is not None and meta.pop(_PROGRESS_TOKEN, None) is not None:
        passed["_meta"] = jsonrpc.raw_json(meta)
    if context is not None or (meta is not None and not _OF_TRACES.isdisjoint(meta)):
        passed["_meta"] = jsonrpc.raw_json(carried(meta or {}, context, baggage=BAGGAGE in permit.gateway.client_headers))
    return jsonrpc.renamed(passed, listed.tool.name) if listed.resource is None else read_params(passed, listed.resource)


def _client_headers(permit: Permit, choice: Choice, managed: Mapping[str, str], context: TraceContext | None) -> Mapping[str, str]:
    if not choice.installation.connection.client_headers or (not permit.client_headers and context is None):
        return NO_HEADERS
    return beside(managed, {**permit.client_headers, **(context.members() if context else {})})


def _param_headers(listed: Listed, params: Params) -> Mapping[str, str]:
    return headers_for(listed.annotated, jsonrpc_value(params.get("arguments"))) if listed.annotated else {}


def jsonrpc_value(raw: msgspec.Raw | None) -> object:
    """Return the value of raw JSON that has been parsed before."""
    return None if raw is None else msgspec.json.decode(raw)


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
        case RefusedError() if error.status in (401, 403):
            return Reason.UPSTREAM_REFUSED
        case _:
            return Reason.UPSTREAM_FAILED
