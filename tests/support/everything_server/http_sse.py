"""HTTP+SSE, the transport of revision 2024-11-05: one stream with an address to POST to, and every answer on that stream."""

import asyncio
import secrets

from aiohttp import web

from everything_server.channel import HEADERS, event
from everything_server.legacy import LegacyPeer
from everything_server.rpc import Json
from everything_server.surface import Surface


class HttpSse:
    """The stream at one path, the messages at another."""

    def __init__(self, surface: Surface, messages: str) -> None:
        self._surface = surface
        self._messages = messages
        self._sessions: dict[str, tuple[LegacyPeer, asyncio.Queue[Json]]] = {}
        self._carriers: set[asyncio.Task[None]] = set()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Open a session and write what belongs to it; its end is the session's."""
        id_, outbox = secrets.token_urlsafe(16), asyncio.Queue[Json]()
        peer = LegacyPeer(self._surface, outbox.put)
        self._sessions[id_] = peer, outbox
        response = web.StreamResponse(headers=HEADERS)
        try:
            await response.prepare(request)
            await response.write(f"event: endpoint\ndata: {self._messages}?session={id_}\n\n".encode())
            while True:
                await response.write(event(await outbox.get()))
        finally:
            del self._sessions[id_]
            peer.close()

    async def message(self, request: web.Request) -> web.Response:
        """Take one message."""
        found = self._sessions.get(request.query.get("session", ""))
        if found is None:
            return web.Response(status=404, text="no such session")
        message = await request.json()
        peer, outbox = found
        if "id" not in message or "method" not in message:
            peer.take(message)
        else:
            carrier = asyncio.create_task(_carry(peer, outbox, message))
            self._carriers.add(carrier)
            carrier.add_done_callback(self._carriers.discard)
        return web.Response(status=202, text="Accepted")


async def _carry(peer: LegacyPeer, outbox: asyncio.Queue[Json], message: Json) -> None:
    task = peer.start(message, outbox.put)
    await asyncio.wait((task,))
    if not task.cancelled():
        await outbox.put(task.result())
