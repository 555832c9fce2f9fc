"""What the bridge serves: `/mcp` for whoever has the token, `/livez` and `/readyz` for probes.

    admit    token ▶ path ▶ method ▶ origin ▶ media types                     decided on the head
    answer   read ▶ era ▶ session ▶ local or unserved ▶ forward ▶ translate   one request, one JSON answer, or a stream

A request is sent to the server at most once; `answers` tells whether it was.
"""

import asyncio
from typing import Final

from wharfinger_bridge.announcements import Announcements, announced, requested
from wharfinger_bridge.answers import ACCEPTED, GONE, RETRY, UNAUTHORIZED, answered, error, refused, result, stream, unavailable
from wharfinger_bridge.bearer import TokenFile
from wharfinger_bridge.era import LEGACY_VERSIONS, MODERN_VERSION, Era, caller_era
from wharfinger_bridge.http_message import Head, Response, text_response
from wharfinger_bridge.jsonrpc import (
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    UNSUPPORTED_PROTOCOL_VERSION,
    Notification,
    Refusal,
    Request,
    RequestId,
    error_body,
    read_message,
)
from wharfinger_bridge.launch import NotReady, Ready
from wharfinger_bridge.peer import Call, Lost, Outcome, Unsent
from wharfinger_bridge.sessions import Sessions
from wharfinger_bridge.supervise import Supervisor
from wharfinger_bridge.translate import Server, discover_result, initialize_result, server_message

PATH: Final = "/mcp"

_SESSION = "mcp-session-id"
_BEGIN = "this server has sessions: begin with initialize"


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
            return UNAUTHORIZED
        if head.path != PATH:
            return text_response(404, f"only {PATH} is served")
        if head.method == "DELETE":
            return Response(200) if self._servers.end(head.headers.get(_SESSION, "")) else GONE
        if head.method not in {"POST", "GET"}:
            return text_response(405, "use POST", ("Allow", "GET, POST, DELETE"))
        if "origin" in head.headers:
            return text_response(403, "browsers are not served")
        return _media_fault(head) if head.method == "POST" else self._stream_fault(head)

    def _stream_fault(self, head: Head) -> Response | None:
        """Answer a GET that opens no stream: there is one in legacy sessions, where the server announces anything."""
        state = self._servers.state
        if isinstance(state, NotReady):
            return text_response(503, state.reason, *RETRY)
        if self._servers.find(head.headers.get(_SESSION, "")) is None:
            return GONE
        if not announced(state.server.capabilities) or head.headers.get("mcp-protocol-version") == MODERN_VERSION:
            return text_response(405, "there is no stream to GET", ("Allow", "POST, DELETE"))
        if self._announcements.is_full:
            return text_response(503, "too many streams", *RETRY)
        return None

    async def answer(self, head: Head, body: bytes) -> Response:
        """Answer one message, or open a stream."""
        if head.method == "GET":
            state = self._servers.state
            kinds = frozenset() if isinstance(state, NotReady) else announced(state.server.capabilities)
            return stream(self._announcements.legacy_stream(kinds))
        message = read_message(body)
        era = message if isinstance(message, Refusal) else caller_era(head.headers, message)
        if isinstance(message, Refusal):
            return refused(message)
        if isinstance(era, Refusal):
            return refused(era)
        session = head.headers.get(_SESSION, "")
        fault = self._session_fault(message, era, session)
        if fault is not None:
            return fault
        if isinstance(message, Notification):
            self._notice(message, session)
            return ACCEPTED
        if not era.serves(message.method):
            return error(era, METHOD_NOT_FOUND, f"method not found: {message.method[:100]}", message.id)
        if message.method == "ping":
            return result({}, message.id)
        if message.method == "initialize":
            return await self._initialize(message)
        return await self._serve(message, era, session)

    def _session_fault(self, message: Request | Notification, era: Era, session: str) -> Response | None:
        """Answer what belongs to no session where each has a server of its own (MCP 2025-11-25, transports, session management)."""
        if not self._servers.sessions or message.method == "initialize":
            return None
        if era is Era.MODERN and isinstance(message, Request):
            if message.method == "server/discover":
                return error(era, METHOD_NOT_FOUND, _BEGIN, message.id)
            data = {"supported": list(LEGACY_VERSIONS), "requested": MODERN_VERSION}
            return error(era, UNSUPPORTED_PROTOCOL_VERSION, _BEGIN, message.id, data)
        id_ = message.id if isinstance(message, Request) else None
        if not session:
            return Response(400, error_body(INVALID_REQUEST, "the header Mcp-Session-Id is missing: begin with initialize", id_))
        if self._servers.find(session) is None:
            return Response(404, error_body(INVALID_REQUEST, "there is no such session, or no longer: begin with initialize", id_))
        return None

    async def _initialize(self, request: Request) -> Response:
        opened = await self._servers.open()
        if isinstance(opened, NotReady):
            return unavailable(opened.reason, request.id)
        session, state = opened
        return result(initialize_result(request.params, state.server), request.id, (("Mcp-Session-Id", session),))

    async def _serve(self, request: Request, era: Era, session: str) -> Response:
        state = self._servers.find(session)
        if not isinstance(state, Ready):
            return unavailable(state.reason if state else "there is no such session", request.id)
        if request.method == "server/discover":
            return result(discover_result(state.server), request.id)
        if request.method == "subscriptions/listen":
            return self._listen(request, era, state.server)
        if state.peer.in_flight >= self._max_in_flight:
            return unavailable(f"{self._max_in_flight} calls are in flight", request.id)
        call = state.peer.send(server_message(request, era, state.server))
        if isinstance(call, Unsent):
            return unavailable(call.message, request.id)
        with self._servers.using(session):
            return answered(await self._outcome(call, (session, request.id), era), request.method, request.id, era, state.server)

    def _listen(self, request: Request, era: Era, server: Server) -> Response:
        kinds = announced(server.capabilities)
        if not kinds:
            return error(era, METHOD_NOT_FOUND, "method not found: this server announces nothing", request.id)
        if self._announcements.is_full:
            return unavailable("too many streams are open", request.id)
        return stream(self._announcements.modern_stream(kinds & requested(request.params), request.id))

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


def _media_fault(head: Head) -> Response | None:
    if head.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return text_response(415, "Content-Type must be application/json")
    accepted = {item.partition(";")[0].strip().lower() for item in head.headers.get("accept", "*/*").split(",")}
    if not accepted & {"application/json", "application/*", "*/*"}:
        return text_response(406, "the answer is application/json, which Accept does not name")
    return None
