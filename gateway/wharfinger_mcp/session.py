"""A session with a server, and how one begins: over which transport, in which era."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Literal, NamedTuple

from wharfinger_mcp.endpoint import Endpoint
from wharfinger_mcp.envelope import Era, Identity
from wharfinger_mcp.errors import NotMcpError, NotStreamableError, RefusedError, UpstreamError
from wharfinger_mcp.exchange import Bounds, Outcome, Outgoing, Transport
from wharfinger_mcp.handshake import Handshake, shake_hands
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.http_sse import open_stream
from wharfinger_mcp.jsonrpc import Id
from wharfinger_mcp.streamable_http import StreamableHttp

TransportName = Literal["Auto", "StreamableHTTP", "SSE"]
"""As a connection names it. Auto: streamable HTTP or, where the server refuses that, HTTP+SSE."""


class Session(NamedTuple):
    """What was agreed on, and how messages get there."""

    server: Handshake
    transport: Transport

    @property
    def is_kept(self) -> bool:
        """Whether the server keeps something that it can lose."""
        return self.server.session_id is not None or self.transport.is_session


class SessionMaker:
    """Begins sessions with one server, and remembers what it found out about it."""

    def __init__(self, client: HttpClient, endpoint: Endpoint, identity: Identity, era: Era | None, transport: TransportName) -> None:
        self.era = era
        """What the server is taken for; None where nothing is known."""
        self._client = client
        self._endpoint = endpoint
        self._identity = identity
        self._transport = transport
        self._is_older = transport == "SSE"

    async def begin(self, headers: Mapping[str, str], bounds: Bounds) -> Session:
        """Return a new session; raises UpstreamError, and then nothing is taken for known."""
        try:
            session = await (self._over_sse if self._is_older else self._over_http)(headers, bounds)
        except UpstreamError:
            self.era, self._is_older = None, self._transport == "SSE"
            raise
        self.era = session.server.era
        return session

    async def _over_http(self, headers: Mapping[str, str], bounds: Bounds) -> Session:
        try:
            return await self._shake_hands(StreamableHttp(self._client, self._endpoint), self.era, headers, bounds)
        except NotStreamableError as refused:
            if self._transport != "Auto":
                raise
            try:
                return await self._over_sse(headers, bounds)
            except (RefusedError, NotMcpError):
                # There is no such stream either: the first refusal says more.
                raise refused from None

    async def _over_sse(self, headers: Mapping[str, str], bounds: Bounds) -> Session:
        transport = await open_stream(self._client, self._endpoint, headers, bounds)
        try:
            session = await self._shake_hands(transport, Era.LEGACY, headers, bounds)
        except BaseException:
            transport.drop()
            raise
        self._is_older = True
        return session

    async def _shake_hands(self, transport: Transport, era: Era | None, headers: Mapping[str, str], bounds: Bounds) -> Session:
        def post(body: bytes, request_id: Id | None, own: Mapping[str, str]) -> Awaitable[Outcome]:
            return transport.post(Outgoing(body, request_id, own, headers), bounds)

        return Session(await shake_hands(post, self._identity, era), transport)
