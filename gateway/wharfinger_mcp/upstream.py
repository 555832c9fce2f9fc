"""An MCP server behind a URL, and our session with it.

Invariants:

- One HTTP request for each call once the server is known, on whichever transport. A call is sent a second time in two cases only: the server
  answered 404 to the session, or that it does not serve the revision, and therefore did not take the call.
- An upstream belongs to one principal: its legacy session is his. Credentials are given with each call and kept nowhere.
- Callers that arrive while the session is being made share the attempt and its outcome.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, NamedTuple

from wharfinger_mcp import envelope, jsonrpc
from wharfinger_mcp.endpoint import Endpoint
from wharfinger_mcp.envelope import Era, Identity
from wharfinger_mcp.errors import (
    HeadersRefusedError,
    InterruptedCallError,
    ProtocolError,
    RefusedError,
    SessionGoneError,
    TimedOutError,
    UpstreamError,
)
from wharfinger_mcp.exchange import Bounds, Listener, OnMessage, Outcome, Outgoing
from wharfinger_mcp.handshake import Handshake
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import Id, Notification, Params, Response
from wharfinger_mcp.loop_time import loop_time
from wharfinger_mcp.notification import cancelled_bytes
from wharfinger_mcp.session import Session, SessionMaker, TransportName

_CONTRADICTIONS: Final = (400, 404, 405)
"""HTTP errors which, without a JSON-RPC message, a server of the era we know does not send: it may have been replaced."""
_CLOSE_SECONDS: Final = 2.0
_CLOSE_BYTES: Final = 64 * 1024
NO_FIELDS: Final[Mapping[str, str]] = MappingProxyType({})


class CallLimits(NamedTuple):
    """Bounds of one call, its session's making included."""

    seconds: float = 60.0
    answer_bytes: int = 16 * 1024 * 1024


class _Call(NamedTuple):
    method: str
    params: Params
    headers: Mapping[str, str]
    once: Mapping[str, str]
    log_level: str | None
    bounds: Bounds
    on_message: OnMessage | None


class Upstream:
    """A server as one principal sees it. Belongs to the event loop of its client."""

    def __init__(
        self, client: HttpClient, endpoint: Endpoint, identity: Identity, era: Era | None = None, transport: TransportName = "Auto"
    ) -> None:
        self._endpoint = endpoint
        self._identity = identity
        self._sessions = SessionMaker(client, endpoint, identity, era, transport)
        self._session: Session | None = None
        self._opening: asyncio.Task[Session] | None = None
        self._ids = itertools.count(1)
        self._background: set[asyncio.Task[None]] = set()
        self._users = 0
        self._is_retired = False
        self._has_streamed = False

    def __repr__(self) -> str:
        return f"Upstream({self._endpoint.host}{self._endpoint.path})"

    @property
    def users(self) -> int:
        """How many calls and streams are under way."""
        return self._users

    @property
    def known(self) -> Handshake | None:
        """What the server is in the present session; None where there is none."""
        return None if self._session is None else self._session.server

    async def open(self, headers: Mapping[str, str], limits: CallLimits | None = None) -> Handshake:
        """Return what the server is, making the session if there is none; raises UpstreamError."""
        return (await self._open(headers, _bounds(limits))).server

    async def call(  # noqa: PLR0913 - what makes one call
        self,
        method: str,
        params: Params,
        headers: Mapping[str, str],
        limits: CallLimits | None = None,
        on_message: OnMessage | None = None,
        *,
        once: Mapping[str, str] = NO_FIELDS,
        log_level: str | None = None,
    ) -> Response:
        """Return the server's response to a request, a JSON-RPC error among them; its id is ours, not the caller's.

        `headers` holds the credential; `once` what belongs to this call alone, `Mcp-Param-…` for instance, which the making of a session
        does not see; `log_level` what a modern server is to log for it, in place of what the params say. Raises UpstreamError where there is no response; NotSentError then means that the server has not seen the call.
        """
        one = _Call(method, params, headers, once, log_level, _bounds(limits), on_message)
        self._users += 1
        try:
            return await self._call(one)
        finally:
            self._leave()

    async def _call(self, one: _Call) -> Response:
        session = await self._open(one.headers, one.bounds)
        outcome = await self._post(session, one)
        if _is_session_lost(outcome, session) or _is_outdated(outcome):
            self._forget(session, None if _is_outdated(outcome) else session.server.era)
            session = await self._open(one.headers, one.bounds)
            outcome = await self._post(session, one)
            if _is_session_lost(outcome, session):
                self._forget(session, session.server.era)
                raise SessionGoneError("the server answers HTTP 404 to a session it has just made: do its replicas share sessions?")
            if _is_outdated(outcome):
                self._forget(session)
                raise ProtocolError("the server refuses the revision on which it has just agreed: do its replicas run one version?")
        return self._settle(outcome, session)

    async def answer(self, request_id: Id, response: Response, headers: Mapping[str, str]) -> None:
        """Answer what a legacy server has asked in this session; raises UpstreamError. A session that is gone has no use for it."""
        session = self._session
        if session is None:
            return
        own = session.server.headers
        await session.transport.post(Outgoing(jsonrpc.response_bytes(request_id, response), None, own, headers), _soon(), None)

    async def say(self, message: Notification, headers: Mapping[str, str]) -> None:
        """Say something to a legacy server in this session; raises UpstreamError. One of the newest era, and one that is gone, have no use for it."""
        session = self._session
        if session is None or session.server.era is not Era.LEGACY:
            return
        body = jsonrpc.notification_bytes(message.method, message.params)
        await session.transport.post(Outgoing(body, None, session.server.headers, headers), _soon(), None)

    async def stream(self, headers: Mapping[str, str], limits: CallLimits, on_open: Callable[[], None], on_message: OnMessage) -> None:
        """Follow what a legacy server says unasked in this session, until it ends the stream; raises UpstreamError."""

        def opened() -> None:
            self._has_streamed = True
            on_open()

        bounds = _bounds(limits)
        self._users += 1
        try:
            session = await self._open(headers, bounds)
            own = session.server.headers
            await session.transport.stream(Outgoing(b"", None, own, headers), bounds, Listener(opened, on_message))
        except RefusedError as refused:
            # Some servers that have no such stream answer 404 as well.
            if refused.status != 404 or not session.is_kept or not self._has_streamed:
                raise
            self._forget(session, session.server.era)
            raise SessionGoneError("the server no longer knows the session; the next stream begins anew") from None
        finally:
            self._leave()

    def retire(self) -> None:
        """Hold no connection beyond what is under way: nobody will call again."""
        self._is_retired = True
        self._let_go()

    def _leave(self) -> None:
        self._users -= 1
        self._let_go()

    def _let_go(self) -> None:
        if self._is_retired and not self._users and self._session is not None:
            self._forget(self._session)

    async def close(self, headers: Mapping[str, str]) -> None:
        """End the session, if there is one; the server is told as far as it listens. Nobody will call again."""
        self._is_retired = True
        if self._opening is not None:
            self._opening.cancel()
        session, self._session = self._session, None
        if session is not None and session.is_kept:
            own = session.server.headers
            await session.transport.end(Outgoing(b"", None, own, headers), _soon())

    async def _post(self, session: Session, one: _Call) -> Outcome:
        server = session.server
        if server.era is Era.MODERN:
            params = envelope.modern_params(one.params, server.protocol_version, self._identity, one.log_level)
            own: Mapping[str, str] = envelope.modern_headers(server.protocol_version, one.method, params)
        else:
            params = envelope.legacy_params(one.params)
            own = server.headers
        request_id = next(self._ids)
        headers = {**one.headers, **one.once} if one.once else one.headers
        outgoing = Outgoing(jsonrpc.request_bytes(request_id, one.method, params), request_id, own, headers)
        try:
            return await session.transport.post(outgoing, one.bounds, one.on_message)
        except (asyncio.CancelledError, TimedOutError):
            if server.era is Era.LEGACY:
                self._say_cancelled(session, request_id, one.headers)
            # To a modern server the end of the connection says it.
            raise

    def _say_cancelled(self, session: Session, request_id: int, headers: Mapping[str, str]) -> None:
        """Tell a legacy server that nobody waits for an answer any more (2025-11-25, cancellation); it may have answered already."""
        body = cancelled_bytes(request_id)
        own = session.server.headers

        async def quietly() -> None:
            with suppress(UpstreamError):
                await session.transport.post(Outgoing(body, None, own, headers), _soon(), None)

        task = asyncio.create_task(quietly())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _settle(self, outcome: Outcome, session: Session) -> Response:
        response = outcome.response
        if response is None:
            # An older server's stream may carry other calls, and its end would show if the server was replaced.
            if outcome.status in _CONTRADICTIONS and not session.transport.is_session:
                self._forget(session)
            raise outcome.refusal or ProtocolError("the server answered a request with no message")
        error = response.error
        if error is not None:
            if error.code == jsonrpc.UNSUPPORTED_PROTOCOL_VERSION:
                self._forget(session)
            # Checked before anything else of the request (2026-07-28, streamable HTTP, "Server Validation").
            if error.code == jsonrpc.HEADER_MISMATCH and outcome.status == 400 and session.server.era is Era.MODERN:
                raise HeadersRefusedError("the server says that the headers do not match the call, which it did not carry out")
            # Some servers say 400 where the specification has 404. Whether they took the call first is not certain.
            if outcome.status == 400 and session.is_kept and "session" in error.message.lower():
                self._forget(session, session.server.era)
                raise SessionGoneError("the server no longer knows the session; the call was not repeated, the next one begins anew")
        return response

    def _forget(self, session: Session, era: Era | None = None) -> None:
        """Drop the session, unless somebody has made another already; of the era keep what is still certain."""
        if self._session is session:
            self._session = None
            self._sessions.era = era
            session.transport.drop()

    async def _open(self, headers: Mapping[str, str], bounds: Bounds) -> Session:
        if self._session is not None and self._session.transport.is_open:
            return self._session
        if self._opening is None:
            self._opening = asyncio.create_task(self._sessions.begin(headers, bounds))
            self._opening.add_done_callback(self._opened)
        opening = self._opening
        try:
            async with asyncio.timeout_at(bounds.deadline):
                await asyncio.wait((opening,))
        except TimeoutError:
            raise TimedOutError("the session with the server was not made in time") from None
        if opening.cancelled():
            raise InterruptedCallError("the session was closed while it was being made")
        return opening.result()

    def _opened(self, task: asyncio.Task[Session]) -> None:
        self._opening = None
        if not task.cancelled() and task.exception() is None:
            self._session = task.result()
            self._let_go()


def _is_session_lost(outcome: Outcome, session: Session) -> bool:
    if outcome.status != 404 or not session.is_kept:
        return False
    error = outcome.response.error if outcome.response is not None else None
    return error is None or error.code != jsonrpc.METHOD_NOT_FOUND


def _is_outdated(outcome: Outcome) -> bool:
    """Whether the server no longer serves the revision, which it says before it looks at the request (2026-07-28, "Server Validation")."""
    error = outcome.response.error if outcome.response is not None else None
    return outcome.status == 400 and error is not None and error.code == jsonrpc.UNSUPPORTED_PROTOCOL_VERSION


def _soon() -> Bounds:
    return Bounds(loop_time() + _CLOSE_SECONDS, _CLOSE_BYTES)


def _bounds(limits: CallLimits | None) -> Bounds:
    limits = limits or CallLimits()
    return Bounds(loop_time() + limits.seconds, limits.answer_bytes)
