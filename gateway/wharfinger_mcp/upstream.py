"""An MCP server behind a URL, and our session with it.

Invariants:

- One HTTP request for each call once the server is known. A call is sent a second time in one case only: the server answered
  404 to the session, and therefore did not take the call.
- An upstream belongs to one principal: its legacy session is his. Credentials are given with each call and kept nowhere.
- Callers that arrive while the session is being made share the attempt and its outcome.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from wharfinger_mcp import envelope, exchange, jsonrpc
from wharfinger_mcp.endpoint import Endpoint
from wharfinger_mcp.envelope import Era, Identity
from wharfinger_mcp.errors import InterruptedCallError, ProtocolError, SessionGoneError, TimedOutError, UpstreamError
from wharfinger_mcp.exchange import Bounds, Listener, OnMessage, Outcome, Outgoing
from wharfinger_mcp.handshake import Handshake, shake_hands
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import Id, Params, Response

_CONTRADICTIONS: Final = (400, 404, 405)
"""HTTP errors which, without a JSON-RPC message, a server of the era we know does not send: it may have been replaced."""
_CLOSE_SECONDS: Final = 2.0
_CLOSE_BYTES: Final = 64 * 1024
NO_FIELDS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class CallLimits:
    """Bounds of one call, its session's making included."""

    seconds: float = 60.0
    answer_bytes: int = 16 * 1024 * 1024


class _Call(NamedTuple):
    method: str
    params: Params
    headers: Mapping[str, str]
    once: Mapping[str, str]
    bounds: Bounds
    on_message: OnMessage | None


class Upstream:
    """A server as one principal sees it. Belongs to the event loop of its client."""

    def __init__(self, client: HttpClient, endpoint: Endpoint, identity: Identity, era: Era | None = None) -> None:
        self._client = client
        self._endpoint = endpoint
        self._identity = identity
        self._era = era
        self._handshake: Handshake | None = None
        self._opening: asyncio.Task[Handshake] | None = None
        self._ids = itertools.count(1)

    def __repr__(self) -> str:
        return f"Upstream({self._endpoint.host}{self._endpoint.path})"

    async def open(self, headers: Mapping[str, str], limits: CallLimits | None = None) -> Handshake:
        """Return what the server is, making the session if there is none; raises UpstreamError."""
        return await self._open(headers, _bounds(limits))

    async def call(  # noqa: PLR0913 - what makes one call
        self,
        method: str,
        params: Params,
        headers: Mapping[str, str],
        limits: CallLimits | None = None,
        on_message: OnMessage | None = None,
        *,
        once: Mapping[str, str] = NO_FIELDS,
    ) -> Response:
        """Return the server's response to a request, a JSON-RPC error among them; its id is ours, not the caller's.

        `headers` holds the credential; `once` what belongs to this call alone, `Mcp-Param-…` for instance, which the making of a session
        does not see. Raises UpstreamError where there is no response; NotSentError then means that the server has not seen the call.
        """
        one = _Call(method, params, headers, once, _bounds(limits), on_message)
        session = await self._open(headers, one.bounds)
        outcome = await self._post(session, one)
        if _is_session_lost(outcome, session):
            self._forget(session, session.era)
            session = await self._open(headers, one.bounds)
            outcome = await self._post(session, one)
            if _is_session_lost(outcome, session):
                self._forget(session, session.era)
                raise SessionGoneError("the server answers HTTP 404 to a session it has just made: do its replicas share sessions?")
        return self._settle(outcome, session)

    async def stream(self, headers: Mapping[str, str], limits: CallLimits, on_open: Callable[[], None], on_message: OnMessage) -> None:
        """Follow what a legacy server says unasked in this session, until it ends the stream; raises UpstreamError."""
        bounds = _bounds(limits)
        session = await self._open(headers, bounds)
        own = envelope.legacy_headers(session.protocol_version, session.session_id)
        await exchange.stream(self._client, self._endpoint, Outgoing(b"", None, own, headers), bounds, Listener(on_open, on_message))

    async def close(self, headers: Mapping[str, str]) -> None:
        """End the session, if there is one; the server is told as far as it listens."""
        if self._opening is not None:
            self._opening.cancel()
        session, self._handshake = self._handshake, None
        if session is None or session.session_id is None:
            return
        own = envelope.legacy_headers(session.protocol_version, session.session_id)
        bounds = Bounds(asyncio.get_running_loop().time() + _CLOSE_SECONDS, _CLOSE_BYTES)
        with suppress(UpstreamError):
            await exchange.delete(self._client, self._endpoint, Outgoing(b"", None, own, headers), bounds)

    async def _post(self, session: Handshake, one: _Call) -> Outcome:
        if session.era is Era.MODERN:
            params = envelope.modern_params(one.params, session.protocol_version, self._identity)
            own = envelope.modern_headers(session.protocol_version, one.method, params)
        else:
            params = envelope.legacy_params(one.params)
            own = envelope.legacy_headers(session.protocol_version, session.session_id)
        request_id = next(self._ids)
        outgoing = Outgoing(
            jsonrpc.request_bytes(request_id, one.method, params), request_id, own, {**one.headers, **one.once} if one.once else one.headers
        )
        return await exchange.post(self._client, self._endpoint, outgoing, one.bounds, one.on_message)

    def _settle(self, outcome: Outcome, session: Handshake) -> Response:
        response = outcome.response
        if response is None:
            if outcome.status in _CONTRADICTIONS:
                self._forget(session)
            raise outcome.refusal or ProtocolError("the server answered a request with no message")
        error = response.error
        if error is not None:
            if error.code == jsonrpc.UNSUPPORTED_PROTOCOL_VERSION:
                self._forget(session)
            # Some servers say 400 where the specification has 404. Whether they took the call first is not certain.
            if outcome.status == 400 and session.session_id is not None and "session" in error.message.lower():
                self._forget(session, session.era)
                raise SessionGoneError("the server no longer knows the session; the call was not repeated, the next one begins anew")
        return response

    def _forget(self, session: Handshake, era: Era | None = None) -> None:
        """Drop the session, unless somebody has made another already; of the era keep what is still certain."""
        if self._handshake is session:
            self._handshake = None
            self._era = era

    async def _open(self, headers: Mapping[str, str], bounds: Bounds) -> Handshake:
        if self._handshake is not None:
            return self._handshake
        if self._opening is None:
            self._opening = asyncio.create_task(self._shake_hands(headers, bounds))
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

    def _opened(self, task: asyncio.Task[Handshake]) -> None:
        self._opening = None
        if not task.cancelled() and task.exception() is None:
            self._handshake = task.result()
            self._era = self._handshake.era

    async def _shake_hands(self, headers: Mapping[str, str], bounds: Bounds) -> Handshake:
        async def post(body: bytes, request_id: Id | None, own: Mapping[str, str]) -> Outcome:
            return await exchange.post(self._client, self._endpoint, Outgoing(body, request_id, own, headers), bounds)

        try:
            return await shake_hands(post, self._identity, self._era)
        except UpstreamError:
            self._era = None
            raise


def _is_session_lost(outcome: Outcome, session: Handshake) -> bool:
    if outcome.status != 404 or session.session_id is None:
        return False
    error = outcome.response.error if outcome.response is not None else None
    return error is None or error.code != jsonrpc.METHOD_NOT_FOUND


def _bounds(limits: CallLimits | None) -> Bounds:
    limits = limits or CallLimits()
    return Bounds(asyncio.get_running_loop().time() + limits.seconds, limits.answer_bytes)
