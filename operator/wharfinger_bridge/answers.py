"""Answers to callers: JSON-RPC as HTTP responses. Pure.

HTTP 503 means that a request was not sent to the server; a JSON-RPC error with `data.reason` that it was, and that its answer is lost.
"""

from collections.abc import AsyncGenerator
from typing import Final

from wharfinger_bridge.era import Era
from wharfinger_bridge.http_message import Response, text_response
from wharfinger_bridge.jsonrpc import INTERNAL_ERROR, MODERN_HTTP_STATUS, Json, Refusal, RequestId, encode, error_body
from wharfinger_bridge.peer import Lost, Outcome
from wharfinger_bridge.translate import Server, caller_result

ACCEPTED: Final = Response(202)
GONE: Final = text_response(404, "there is no such session")
RETRY: Final = (("Retry-After", "1"),)
UNAUTHORIZED: Final = Response(401, headers=(("WWW-Authenticate", "Bearer"),))

_UNBUFFERED = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))


def stream(events: AsyncGenerator[bytes]) -> Response:
    """Return an event stream."""
    return Response(200, content_type="text/event-stream", headers=_UNBUFFERED, stream=events)


def result(value: Json, id_: RequestId, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Return a result."""
    return Response(200, encode({"jsonrpc": "2.0", "id": id_, "result": value}), headers=headers)


def error(era: Era, code: int, message: str, id_: RequestId, data: Json | None = None) -> Response:
    """Return an error of the bridge's own."""
    return Response(_status(era, code), error_body(code, message, id_, data))


def refused(refusal: Refusal) -> Response:
    """Return why a message is not carried out."""
    return Response(refusal.status, error_body(refusal.code, refusal.message, refusal.id, refusal.data))


def unavailable(reason: str, id_: RequestId) -> Response:
    """Return why a request was not sent, so that it may be sent again."""
    return Response(503, error_body(INTERNAL_ERROR, reason, id_), headers=RETRY)


def answered(outcome: Outcome, method: str, id_: RequestId, era: Era, server: Server) -> Response:
    """Return how a call ended."""
    if isinstance(outcome, Lost):
        return error(era, INTERNAL_ERROR, outcome.message, id_, {"reason": outcome.reason})
    fault = outcome.get("error")
    try:
        if "result" in outcome:
            return result(caller_result(method, outcome["result"], era, server), id_)
        if isinstance(fault, dict):
            return Response(_status(era, fault.get("code")), encode({"jsonrpc": "2.0", "id": id_, "error": fault}))
    except ValueError:
        pass
    return error(era, INTERNAL_ERROR, "the server's answer is not valid JSON-RPC", id_, {"reason": "AnswerInvalid"})


def _status(era: Era, code: object) -> int:
    """Return the HTTP status of an error: 200 towards legacy callers, by its code towards modern ones."""
    return MODERN_HTTP_STATUS.get(code, 200) if era is Era.MODERN and isinstance(code, int) else 200
