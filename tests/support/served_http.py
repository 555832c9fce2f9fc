"""An HTTP server of ours in this process, and clients of it that send bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from raw_http import RawAnswer, answer
from wharfinger_gateway.connection_bounds import ConnectionBounds
from wharfinger_gateway.http_exchange import Exchange
from wharfinger_gateway.http_server import HttpServer
from wharfinger_gateway.refusals import Refusal

LIMIT = 100_000
Handle = Callable[[Exchange], Awaitable[None]]


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> RawAnswer:
        async with asyncio.timeout(10):
            return await answer(self.reader)

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        async with asyncio.timeout(10):
            return await self.reader.read()


@dataclass
class Scene:
    """A server, and what it was asked."""

    server: HttpServer
    port: int
    seen: list[tuple[str, str, bytes | Refusal]]
    clients: list[Client] = field(default_factory=list)

    async def connect(self, data: bytes = b"") -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        client.send(data)
        return client


@asynccontextmanager
async def served(handle: Handle | None = None, **bounds: float) -> AsyncIterator[Scene]:
    seen: list[tuple[str, str, bytes | Refusal]] = []

    async def echo(exchange: Exchange) -> None:
        body = await exchange.read(LIMIT)
        seen.append((exchange.head.verb, exchange.head.path, body))
        if isinstance(body, Refusal):
            exchange.answer(body.status, {}, b"refused")
        else:
            exchange.answer(200, {"X-Path": exchange.head.path}, body)

    server = HttpServer(handle or echo, ConnectionBounds(**bounds) if bounds else None)  # type: ignore[arg-type]
    ((_, port),) = await server.listen("127.0.0.1", 0)
    scene = Scene(server, port, seen)
    try:
        yield scene
    finally:
        for client in scene.clients:
            client.writer.transport.abort()
        await server.close(1.0)


def post(body: bytes, *fields: bytes, path: bytes = b"/a") -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"Host: x", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*pieces: bytes, path: bytes = b"/a") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
