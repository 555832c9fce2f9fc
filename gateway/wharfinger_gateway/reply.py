"""Answers to bytes: results and refusals, in the form and with the HTTP status that each era wants. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from wharfinger_gateway import modern
from wharfinger_gateway.http_answer import JSON as JSON_HEADERS
from wharfinger_gateway.incoming import NO_HEADERS, Reply
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.snapshot import Gateway
from wharfinger_mcp import jsonrpc, media_type
from wharfinger_mcp.jsonrpc import Id, Params, Response
from wharfinger_mcp.revision import ERROR_STATUS

NOTHING: Final = Reply(202)
"""To messages that want no answer."""
SERVER_ERROR: Final = -32000
"""What befell a request that is no tool's."""
UNANSWERED: Final = Reply(200, b"", {"Content-Type": media_type.EVENT_STREAM, "Cache-Control": "no-store"})
"""To a request that its client has cancelled, and to one for a stream: an event stream's end."""
ALLOWED_VERBS: Final = "GET, POST, DELETE"


class Answer(msgspec.Struct, frozen=True):
    """One message back."""

    body: bytes
    """Empty where the request was cancelled."""
    status: int = 200
    headers: Mapping[str, str] = NO_HEADERS


def result(request_id: Id, value: Mapping[str, Any] | msgspec.Raw) -> Answer:
    """Return the answer with a result."""
    return Answer(jsonrpc.result_bytes(request_id, value))


def served(request_id: Id, response: Response, gateway: Gateway, *, is_modern: bool, cacheable: bool = False) -> Answer:
    """Return a server's answer as this gateway's; a `cacheable` one says for how long, which is not at all where the server does not."""
    if response.error is not None:
        return Answer(jsonrpc.response_bytes(request_id, response), ERROR_STATUS.get(response.error.code, 200) if is_modern else 200)
    value = response.result or {}
    return result(request_id, modern.completed(gateway, value, cacheable=cacheable) if is_modern else _older(value))


def _older(members: Params) -> Params:
    """Return a result for an older client, to which structured content is an object (2026-07-28, "Structured Content"); the text says it too."""
    structured = members.get("structuredContent")
    if structured is None or bytes(memoryview(structured)[:1]) == b"{":
        return members
    return {name: value for name, value in members.items() if name != "structuredContent"}


def refused(request_id: Id, refusal: Refusal, gateway: Gateway, *, is_modern: bool, of_a_tool: bool = True) -> Answer:
    """Return a refusal of one message; only tools have results that say so."""
    if refusal.form == "result" and not of_a_tool:
        return Answer(jsonrpc.error_bytes(request_id, SERVER_ERROR, refusal.message))
    if refusal.form == "result":
        said = [{"type": "text", "text": refusal.message}]
        text = {"content": jsonrpc.raw_json(said), "isError": jsonrpc.raw_json(True)}
        return result(request_id, modern.completed(gateway, text) if is_modern else text)
    status = refusal.status if is_modern or refusal.form == "http" else 200
    return Answer(jsonrpc.error_bytes(request_id, refusal.code, refusal.message, refusal.data), status, _retry(refusal))


def refused_whole(refusal: Refusal, challenge: str = "") -> Reply:
    """Return the refusal of a whole HTTP request; `challenge` says where one logs in, as parameters of WWW-Authenticate."""
    headers = dict(JSON_HEADERS)
    if refusal.status == 401:
        # RFC 6750 §3: without a token in the request no error code.
        error = "" if refusal.reason is Reason.TOKEN_MISSING else 'error="invalid_token"'
        headers["WWW-Authenticate"] = " ".join(("Bearer", ", ".join(part for part in (error, challenge) if part))).strip()
    if refusal.status == 405:
        headers["Allow"] = ALLOWED_VERBS
    headers |= _retry(refusal)
    return Reply(refusal.status, jsonrpc.error_bytes(refusal.request_id, refusal.code, refusal.message, refusal.data), headers)


def _retry(refusal: Refusal) -> Mapping[str, str]:
    return NO_HEADERS if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}


def answered(answer: Answer, headers: Mapping[str, str] = NO_HEADERS) -> Reply:
    """Return the reply to one request."""
    if not answer.body:
        return UNANSWERED
    more = answer.headers or headers
    return Reply(answer.status, answer.body, {**JSON_HEADERS, **answer.headers, **headers} if more else JSON_HEADERS)


def batch_answered(answers: Sequence[Answer]) -> Reply:
    """Return the reply to several messages in one body (2025-03-26)."""
    bodies = [answer.body for answer in answers if answer.body]
    return Reply(200, b"[" + b",".join(bodies) + b"]", JSON_HEADERS) if bodies else UNANSWERED if answers else NOTHING
