"""What the bridge serves: `/mcp` for whoever has the token, `/livez` and `/readyz` for probes.

    admit    token ▶ path ▶ method ▶ origin ▶ media types                     decided on the head
    answer   read ▶ era ▶ session ▶ local or unserved ▶ forward ▶ translate   one request, one JSON answer, or a stream

A request is sent to the server at most once; `answers` tells whether it was.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Final

from wharfinger_bridge.announcements import Announcements, announced, requested
from wharfinger_bridge.answers import ACCEPTED, GONE, RETRY, UNAUTHORIZED, error, refused, result, stream, unavailable
from wharfinger_bridge.bearer import TokenFile
from wharfinger_bridge.era import LEGACY_VERSIONS, MODERN_VERSION, Era, caller_era
from wharfinger_bridge.exchange import Exchange
from wharfinger_bridge.http_message import Head, Response, text_response
from wharfinger_bridge.jsonrpc import (
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    UNSUPPORTED_PROTOCOL_VERSION,
    Notification,
    Refusal,
    Reply,
    Request,
    RequestId,
    error_body,
    read_message,
)
from wharfinger_bridge.launch import NotReady, Ready
from wharfinger_bridge.peer import Call, Lost, Unsent
from wharfinger_bridge.said import Said
from wharfinger_bridge.sessions import Sessions
from wharfinger_bridge.supervise import Supervisor
from wharfinger_bridge.translate import Server, asked_for, discover_result, initialize_result, progress_token, server_message

PATH: Final = "/mcp"

_SESSION = "mcp-session-id"
_CANCEL_SECONDS = 5.0
_OF_ONE_CALLER = frozenset({"notifications/roots/list_changed", "notifications/progress"})
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
        is_silent = not self._servers.sessions and not announced(state.server.capabilities)
        if is_silent or head.headers.get("mcp-protocol-version") == MODERN_VERSION:
            return text_response(405, "there is no stream to GET", ("Allow", "POST, DELETE"))
        if self._announcements.is_full:
            return text_response(503, "too many streams", *RETRY)
        return None

    async def answer(self, head: Head, body: bytes) -> Response:
        """Answer one message, or open a stream."""
        session = head.headers.get(_SESSION, "")
        if head.method == "GET":
            return stream(self._unasked(self._servers.find(session)))
        message = read_message(body)
        if isinstance(message, Refusal):
            return refused(message)
        if isinstance(message, Reply):
            return self._take_reply(message, session)
        era = caller_era(head.headers, message)
        if isinstance(era, Refusal):
            return refused(era)
        fault = self._session_fault(message, era, session)
        if fault is not None:
            return fault
        if isinstance(message, Notification):
            self._notice(message, session)
            return ACCEPTED
        state = self._servers.find(session)
        if not era.serves(message.method, is_own=isinstance(state, Ready) and state.is_own):
            return error(era, METHOD_NOT_FOUND, f"method not found: {message.method[:100]}", message.id)
        if message.method == "ping":
            return result({}, message.id)
        if message.method == "initialize":
            return await self._initialize(message)
        return await self._serve(head, message, era, session)

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
        opened = await self._servers.open(asked_for(request.params))
        if isinstance(opened, NotReady):
            return unavailable(opened.reason, request.id)
        session, state = opened
        described = initialize_result(request.params, state.server, is_own=state.is_own)
        return result(described, request.id, (("Mcp-Session-Id", session),))

    async def _serve(self, head: Head, request: Request, era: Era, session: str) -> Response:
        state = self._servers.find(session)
        if not isinstance(state, Ready):
            return unavailable(state.reason if state else "there is no such session", request.id)
        if request.method == "server/discover":
            return result(discover_result(state.server), request.id)
        if request.method == "subscriptions/listen":
            return self._listen(request, era, state.server)
        if state.peer.in_flight >= self._max_in_flight:
            return unavailable(f"{self._max_in_flight} calls are in flight", request.id)
        is_tracked = progress_token(request) is not None and _accepts_events(head)
        said = Said() if is_tracked or (state.is_own and _accepts_events(head)) else None
        call = state.peer.send(server_message(request, era, state.server), said, is_tracked=is_tracked)
        if isinstance(call, Unsent):
            return unavailable(call.message, request.id)
        exchange = Exchange(request, era, state.server, call, self._servers.using(session))
        exchange.bound(self._call_timeout)
        if session:
            self._cancellable[session, request.id] = call
            exchange.at_end(partial(self._let_go, (session, request.id), call))
        return await exchange.response()

    def _listen(self, request: Request, era: Era, server: Server) -> Response:
        kinds = announced(server.capabilities)
        if not kinds:
            return error(era, METHOD_NOT_FOUND, "method not found: this server announces nothing", request.id)
        if self._announcements.is_full:
            return unavailable("too many streams are open", request.id)
        return stream(self._announcements.modern_stream(kinds & requested(request.params), request.id))

    def _let_go(self, key: tuple[str, RequestId], call: Call) -> None:
        """Forget a call; one whose caller left before its answer a little later, for many close the stream before they say that they cancel."""
        if call.future.done():
            self._forget(key, call)
        else:
            asyncio.get_running_loop().call_later(_CANCEL_SECONDS, self._forget, key, call)

    def _forget(self, key: tuple[str, RequestId], call: Call) -> None:
        if self._cancellable.get(key) is call:
            del self._cancellable[key]

    async def _unasked(self, state: Ready | NotReady | None) -> AsyncGenerator[bytes]:
        """Yield what belongs to no call: announcements, and all else where the server is the caller's alone."""
        if not isinstance(state, Ready):
            return
        said = Said()
        events = self._announcements.legacy_stream(announced(state.server.capabilities), said)
        with state.peer.audience.heard_by(said):
            async with aclosing(events):
                async for event in events:
                    yield event

    def _take_reply(self, reply: Reply, session: str) -> Response:
        """Pass on the answer to a question; one that nobody waits for any more is no fault of the caller's."""
        if not self._servers.sessions:
            return Response(400, error_body(INVALID_REQUEST, "nothing was asked that a response could answer", reply.id))
        state = self._servers.find(session)
        if not isinstance(state, Ready):
            return GONE
        state.peer.answer(reply)
        return ACCEPTED

    def _notice(self, notification: Notification, session: str) -> None:
        """Forward a cancellation that names a call of the same session, and what else has a meaning to a server of one caller."""
        state = self._servers.find(session)
        if notification.method in _OF_ONE_CALLER and isinstance(state, Ready) and state.is_own:
            state.peer.notify(notification.method, notification.params)
        id_ = notification.params.get("requestId")
        if notification.method != "notifications/cancelled" or isinstance(id_, bool) or not isinstance(id_, int | str):
            return
        call = self._cancellable.pop((session, id_), None)
        if call is not None:
            call.cancel(Lost("Cancelled", "cancelled by the caller"))


def _media_fault(head: Head) -> Response | None:
    if head.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return text_response(415, "Content-Type must be application/json")
    if not _accepted(head) & {"application/json", "application/*", "*/*"}:
        return text_response(406, "the answer is application/json, which Accept does not name")
    return None


def _accepts_events(head: Head) -> bool:
    return not _accepted(head).isdisjoint({"text/event-stream", "text/*", "*/*"})


def _accepted(head: Head) -> frozenset[str]:
    return frozenset(item.partition(";")[0].strip().lower() for item in head.headers.get("accept", "*/*").split(","))
