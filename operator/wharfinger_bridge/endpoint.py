"""What the bridge serves: `/mcp` for whoever has the token, `/livez` and `/readyz` for probes.

    admit    token ▶ path ▶ method ▶ origin ▶ media types                     decided on the head
    answer   read ▶ era ▶ session ▶ local or unserved ▶ forward ▶ translate   one request, one JSON answer, or a stream

A request is sent to the server at most once. HTTP 503 means that it was not sent; a JSON-RPC error with `data.reason` that it was, and
that its answer is lost.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from wharfinger_bridge.announcements import Announcements, announced, requested
from wharfinger_bridge.bearer import TokenFile
from wharfinger_bridge.era import LEGACY_VERSIONS, MODERN_VERSION, Era, caller_era
from wharfinger_bridge.http_message import Head, Response, text_response
from wharfinger_bridge.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MODERN_HTTP_STATUS,
    UNSUPPORTED_PROTOCOL_VERSION,
    Json,
    Notification,
    Refusal,
    Request,
    RequestId,
    encode,
    error_body,
    read_message,
)
from wharfinger_bridge.launch import NotReady, Ready
from wharfinger_bridge.peer import Call, Lost, Outcome, Unsent
from wharfinger_bridge.sessions import Sessions
from wharfinger_bridge.supervise import Supervisor
from wharfinger_bridge.translate import Server, caller_result, discover_result, initialize_result, server_message

PATH: Final = "/mcp"

_SESSION = "mcp-session-id"
_ACCEPTED = Response(202)
_BEGIN = "this server has sessions: begin with initialize"
_GONE = text_response(404, "there is no such session")
_RETRY = (("Retry-After", "1"),)
_UNBUFFERED = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))
_UNAUTHORIZED = Response(401, headers=(("WWW-Authenticate", "Bearer"),))


class Endpoint:
    """Answers requests for one server, or for the servers of sessions."""

    def __init__(
        self, servers: Supervisor | Sessions, tokens: TokenFile, announcements: Announcements, *, max_in_flight: int, call_timeout: float
    ) -> None:
        self._servers = servers
        self._tokens = tokens
        self._announcements = announcements
        self._max_in_flight = max_in_flight
        self._call_timeout = call_timeout
        self._cancellable: dict[tuple[str, RequestId], Call] = {}

    def admit(self, head: Head) -> Response | None:
        """Answer what its head decides; None lets the body be read."""
        if head.path == "/livez" and head.method == "GET":
            return text_response(200, "ok")
        if head.path == "/readyz" and head.method == "GET":
            state = self._servers.state
            return text_response(503, state.reason) if isinstance(state, NotReady) else text_response(200, "ok")
        if not self._tokens.admits(head.headers.get("authorization")):
            return _UNAUTHORIZED
        if head.path != PATH:
            return text_response(404, f"only {PATH} is served")
        if head.method == "DELETE":
            return Response(200) if self._servers.end(head.headers.get(_SESSION, "")) else _GONE
        if head.method not in {"POST", "GET"}:
            return text_response(405, "use POST", ("Allow", "GET, POST, DELETE"))
        if "origin" in head.headers:
            return text_response(403, "browsers are not served")
        return _media_fault(head) if head.method == "POST" else self._stream_fault(head)

    def _stream_fault(self, head: Head) -> Response | None:
        """Answer a GET that opens no stream: there is one in legacy sessions, where the server announces anything."""
        state = self._servers.state
        if isinstance(state, NotReady):
            return text_response(503, state.reason, *_RETRY)
        if self._servers.find(head.headers.get(_SESSION, "")) is None:
            return _GONE
        if not announced(state.server.capabilities) or head.headers.get("mcp-protocol-version") == MODERN_VERSION:
            return text_response(405, "there is no stream to GET", ("Allow", "POST, DELETE"))
        if self._announcements.is_full:
            return text_response(503, "too many streams", *_RETRY)
        return None

    async def answer(self, head: Head, body: bytes) -> Response:
        """Answer one message, or open a stream."""
        if head.method == "GET":
            state = self._servers.state
            kinds = frozenset() if isinstance(state, NotReady) else announced(state.server.capabilities)
            return _stream(self._announcements.legacy_stream(kinds))
        message = read_message(body)
        era = message if isinstance(message, Refusal) else caller_era(head.headers, message)
        if isinstance(message, Refusal):
            return _refused(message)
        if isinstance(era, Refusal):
            return _refused(era)
        session = head.headers.get(_SESSION, "")
        fault = self._session_fault(message, era, session)
        if fault is not None:
            return fault
        if isinstance(message, Notification):
            self._notice(message, session)
            return _ACCEPTED
        if not era.serves(message.method):
            return _error(era, METHOD_NOT_FOUND, f"method not found: {message.method[:100]}", message.id)
        if message.method == "ping":
            return _result({}, message.id)
        if message.method == "initialize":
            return await self._initialize(message)
        return await self._serve(message, era, session)

    def _session_fault(self, message: Request | Notification, era: Era, session: str) -> Response | None:
        """Answer what belongs to no session where each has a server of its own (MCP 2025-11-25, transports, session management)."""
        if not self._servers.sessions or message.method == "initialize":
            return None
        if era is Era.MODERN and isinstance(message, Request):
            if message.method == "server/discover":
                return _error(era, METHOD_NOT_FOUND, _BEGIN, message.id)
            data = {"supported": list(LEGACY_VERSIONS), "requested": MODERN_VERSION}
            return _error(era, UNSUPPORTED_PROTOCOL_VERSION, _BEGIN, message.id, data)
        id_ = message.id if isinstance(message, Request) else None
        if not session:
            return Response(400, error_body(INVALID_REQUEST, "the header Mcp-Session-Id is missing: begin with initialize", id_))
        if self._servers.find(session) is None:
            return Response(404, error_body(INVALID_REQUEST, "there is no such session, or no longer: begin with initialize", id_))
        return None

    async def _initialize(self, request: Request) -> Response:
        opened = await self._servers.open()
        if isinstance(opened, NotReady):
            return _unavailable(opened.reason, request.id)
        session, state = opened
        return _result(initialize_result(request.params, state.server), request.id, (("Mcp-Session-Id", session),))

    async def _serve(self, request: Request, era: Era, session: str) -> Response:
        state = self._servers.find(session)
        if not isinstance(state, Ready):
            return _unavailable(state.reason if state else "there is no such session", request.id)
        if request.method == "server/discover":
            return _result(discover_result(state.server), request.id)
        if request.method == "subscriptions/listen":
            return self._listen(request, era, state.server)
        if state.peer.in_flight >= self._max_in_flight:
            return _unavailable(f"{self._max_in_flight} calls are in flight", request.id)
        call = state.peer.send(server_message(request, era, state.server))
        if isinstance(call, Unsent):
            return _unavailable(call.message, request.id)
        with self._servers.using(session):
            return _answered(await self._outcome(call, (session, request.id), era), request.method, request.id, era, state.server)

    def _listen(self, request: Request, era: Era, server: Server) -> Response:
        kinds = announced(server.capabilities)
        if not kinds:
            return _error(era, METHOD_NOT_FOUND, "method not found: this server announces nothing", request.id)
        if self._announcements.is_full:
            return _unavailable("too many streams are open", request.id)
        return _stream(self._announcements.modern_stream(kinds & requested(request.params), request.id))

    async def _outcome(self, call: Call, key: tuple[str, RequestId], era: Era) -> Outcome:
        """Wait for the answer, a cancellation, or the end of patience. A caller that leaves is only a cancellation where its era says so."""
        lost = Lost("Timeout", f"no answer within {self._call_timeout:.0f} s")
        timer = asyncio.get_running_loop().call_later(self._call_timeout, call.cancel, lost)
        if key[0]:
            self._cancellable[key] = call
        try:
            return await call.future
        except asyncio.CancelledError:
            call.abandon("the caller went away", tell_server=era is Era.MODERN)
            raise
        finally:
            timer.cancel()
            if self._cancellable.get(key) is call:
                del self._cancellable[key]

    def _notice(self, notification: Notification, session: str) -> None:
        """Forward a cancellation that names a call of the same session; every other notification has no meaning to a shared server."""
        id_ = notification.params.get("requestId")
        if notification.method != "notifications/cancelled" or isinstance(id_, bool) or not isinstance(id_, int | str):
            return
        call = self._cancellable.get((session, id_))
        if call is not None:
            call.cancel(Lost("Cancelled", "cancelled by the caller"))


def _stream(events: AsyncIterator[bytes]) -> Response:
    return Response(200, content_type="text/event-stream", headers=_UNBUFFERED, stream=events)


def _media_fault(head: Head) -> Response | None:
    if head.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return text_response(415, "Content-Type must be application/json")
    accepted = {item.partition(";")[0].strip().lower() for item in head.headers.get("accept", "*/*").split(",")}
    if not accepted & {"application/json", "application/*", "*/*"}:
        return text_response(406, "the answer is application/json, which Accept does not name")
    return None


def _answered(outcome: Outcome, method: str, id_: RequestId, era: Era, server: Server) -> Response:
    if isinstance(outcome, Lost):
        return _error(era, INTERNAL_ERROR, outcome.message, id_, {"reason": outcome.reason})
    error = outcome.get("error")
    try:
        if "result" in outcome:
            return _result(caller_result(method, outcome["result"], era, server), id_)
        if isinstance(error, dict):
            return Response(_status(era, error.get("code")), encode({"jsonrpc": "2.0", "id": id_, "error": error}))
    except ValueError:
        pass
    return _error(era, INTERNAL_ERROR, "the server's answer is not valid JSON-RPC", id_, {"reason": "AnswerInvalid"})


def _result(result: Json, id_: RequestId, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(200, encode({"jsonrpc": "2.0", "id": id_, "result": result}), headers=headers)


def _refused(refusal: Refusal) -> Response:
    return Response(refusal.status, error_body(refusal.code, refusal.message, refusal.id, refusal.data))


def _unavailable(reason: str, id_: RequestId) -> Response:
    return Response(503, error_body(INTERNAL_ERROR, reason, id_), headers=_RETRY)


def _error(era: Era, code: int, message: str, id_: RequestId, data: Json | None = None) -> Response:
    return Response(_status(era, code), error_body(code, message, id_, data))


def _status(era: Era, code: object) -> int:
    """Return the HTTP status of an error: 200 towards legacy callers, by its code towards modern ones."""
    return MODERN_HTTP_STATUS.get(code, 200) if era is Era.MODERN and isinstance(code, int) else 200
