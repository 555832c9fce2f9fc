"""Streamable HTTP of the revisions with a handshake: sessions, POST, the GET stream, coming back to a stream, DELETE."""

import asyncio
import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiohttp import web

from everything_server.channel import HEADERS, Channel
from everything_server.legacy import LegacyPeer
from everything_server.rpc import INVALID_REQUEST, LEGACY, Json, RpcError, failure
from everything_server.surface import Surface

_PRIMED = "2025-11-25"
"""From this revision on, a stream begins with an event that only names it."""


@dataclass
class _Session:
    peer: LegacyPeer
    announcements: Channel
    is_apart: bool
    channels: dict[str, Channel] = field(default_factory=dict)
    carriers: set[asyncio.Task[None]] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def carry(self, message: Json) -> Channel:
        """Begin to answer a request, and return the stream that the answer comes on."""
        channel = Channel(f"c{next(self.numbers)}")
        self.channels[channel.name] = channel
        said = self.announcements if self.is_apart else channel
        task = self.peer.start(message, said.send, channel.hang_up)

        async def carry() -> None:
            await asyncio.wait((task,))
            channel.end(None if task.cancelled() else task.result())

        carrier = asyncio.create_task(carry())
        self.carriers.add(carrier)
        carrier.add_done_callback(self.carriers.discard)
        return channel

    def close(self) -> None:
        self.peer.close()
        self.announcements.end()


class LegacyHttp:
    """The endpoint. `apart`: what a request brings about before its answer is said on the stream that a GET opens, as some servers do."""

    def __init__(self, surface: Surface, *, apart: bool = False) -> None:
        self._surface = surface
        self._is_apart = apart
        self._sessions: dict[str, _Session] = {}

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()

    async def handle(self, request: web.Request, message: Json | None) -> web.StreamResponse:
        """Answer a POST with its message, or another verb."""
        if message is not None and message.get("method") == "initialize":
            id_ = secrets.token_urlsafe(16)
            session = self._sessions[id_] = self._session()
            return await self._post(request, session, message, {"Mcp-Session-Id": id_})
        id_ = request.headers.get("Mcp-Session-Id", "")
        session_or_none = self._sessions.get(id_)
        if session_or_none is None or _version(request, session_or_none) not in LEGACY:
            return _refusal(request, message, session_or_none)
        if message is not None:
            return await self._post(request, session_or_none, message, {})
        if request.method == "DELETE":
            self._sessions.pop(id_).close()
            return web.Response(status=204)
        return await self._get(request, session_or_none)

    def _session(self) -> _Session:
        announcements = Channel("announcements")
        return _Session(LegacyPeer(self._surface, announcements.send), announcements, self._is_apart, {announcements.name: announcements})

    async def _post(self, request: web.Request, session: _Session, message: Json, own: dict[str, str]) -> web.StreamResponse:
        if "id" not in message or "method" not in message:
            session.peer.take(message)
            return web.Response(status=202)
        channel = session.carry(message)
        only = await channel.only()
        if only is not None:
            del session.channels[channel.name]
            return web.json_response(only, headers=own)
        response = web.StreamResponse(headers=HEADERS | own)
        await response.prepare(request)
        if session.peer.version == _PRIMED:
            await response.write(f"id: {channel.name}-0\nretry: 100\ndata:\n\n".encode())
        await channel.write(response, 0)
        return response

    async def _get(self, request: web.Request, session: _Session) -> web.StreamResponse:
        name, _, after = request.headers.get("Last-Event-ID", f"{session.announcements.name}-0").rpartition("-")
        channel = session.channels.get(name)
        if channel is None or not after.isdigit():
            return web.Response(status=404)
        if channel.is_taken:
            return web.Response(status=409)
        channel.is_taken = True
        response = web.StreamResponse(headers=HEADERS)
        try:
            await response.prepare(request)
            await response.write(b": open\n\n")
            await channel.write(response, int(after))
        finally:
            channel.is_taken = False
        return response


def _version(request: web.Request, session: _Session) -> str:
    return request.headers.get("MCP-Protocol-Version", session.peer.version)


def _refusal(request: web.Request, message: Json | None, session: _Session | None) -> web.Response:
    if session is not None:
        status, why = 400, "Unsupported protocol version"
    elif "Mcp-Session-Id" in request.headers:
        status, why = 404, "Session not found"
    else:
        status, why = 400, "Mcp-Session-Id is missing"
    return web.json_response(failure(message.get("id") if message else None, RpcError(INVALID_REQUEST, why)), status=status)
