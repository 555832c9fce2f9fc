"""Clients that send slowly, do not read, or come in numbers cost a bounded amount, and hold up nobody."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eventually import eventually
from gateway_process import gateway_process
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, BOB, dump, gateway, installation, pinned
from wharfinger_gateway.connection_bounds import ConnectionBounds, Connections, Ended, raise_file_limit
from wharfinger_gateway.http_exchange import Exchange
from wharfinger_gateway.http_server import HttpServer

OFFLINE = str(Path(__file__).parents[1] / "support/gateway_offline.py")
LARGE = 32 * 1024 * 1024
"""More than a kernel keeps for a socket."""


class Bounded:
    """A server in this process, and raw clients of it."""

    def __init__(self, server: HttpServer, port: int, ended: list[Ended]) -> None:
        self.server = server.connections
        self.said = ended
        self.port = port
        self.sockets: list[socket.socket] = []

    async def connect(self, data: bytes = b"") -> socket.socket:
        """Open a connection that reads nothing by itself."""
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        self.sockets.append(raw)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, ("127.0.0.1", self.port))
        await loop.sock_sendall(raw, data)
        return raw

    async def ended(self, raw: socket.socket) -> bool:
        """Read to the end; False where the server has something to say for ever."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                while await asyncio.get_running_loop().sock_recv(raw, 65536):
                    pass
        return True

    async def get(self, path: str = "/") -> bytes:
        """Be a client that behaves."""
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}{path}") as response:
            return await response.read()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self.server)


@contextlib.asynccontextmanager
async def bounded(**bounds: Any) -> AsyncIterator[Bounded]:
    async def handle(exchange: Exchange) -> None:
        exchange.answer(200, {}, b"x" * int(exchange.head.path.removeprefix("/") or 2))

    ended: list[Ended] = []
    server = HttpServer(handle, ConnectionBounds(**bounds), ended.append)
    ((_, port),) = await server.listen("127.0.0.1", 0)
    one = Bounded(server, port, ended)
    try:
        yield one
    finally:
        for raw in one.sockets:
            raw.close()
        await server.close(0.1)


def get(size: int) -> bytes:
    return f"GET /{size} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.mark.requirement("GW-12")
@pytest.mark.parametrize("sent", [b"", b"GET /", b"GET / HTTP/1.1\r\nX-Slow: "], ids=["nothing", "half-a-line", "half-a-head"])
async def test_a_head_that_does_not_come_in_time_ends_the_connection(sent: bytes) -> None:
    async with bounded(head_seconds=0.3) as server:
        raw = await server.connect(sent)
        drip = asyncio.create_task(dripping(raw, bool(sent)))
        assert await server.ended(raw)
        drip.cancel()
        await eventually(lambda: server.open == 0)
        assert server.said == [Ended.HEAD_LATE]


async def dripping(raw: socket.socket, more: bool) -> None:
    """Send a byte of a head now and then."""
    with contextlib.suppress(ConnectionError):
        while more:
            await asyncio.get_running_loop().sock_sendall(raw, b"a")
            await asyncio.sleep(0.05)


@pytest.mark.requirement("GW-12")
async def test_a_connection_whose_head_came_in_time_stays() -> None:
    async with bounded(head_seconds=0.3) as server:
        raw = await server.connect(get(2))
        assert (await asyncio.get_running_loop().sock_recv(raw, 65536)).startswith(b"HTTP/1.1 200")
        late = await server.connect()
        assert await server.ended(late)
        await asyncio.get_running_loop().sock_sendall(raw, get(2))
        assert (await asyncio.get_running_loop().sock_recv(raw, 65536)).startswith(b"HTTP/1.1 200")


@pytest.mark.requirement("GW-12")
async def test_an_answer_that_nobody_reads_ends_the_connection_and_holds_nothing() -> None:
    async with bounded(stalled_seconds=0.3) as server:
        raw = await server.connect(get(LARGE))
        await eventually(lambda: server.server.unread > 0)
        assert await server.get() == b"xx"
        await eventually(lambda: server.open == 0)
        assert (server.server.unread, len(server.server._unread), server.open) == (0, 0, 0)
        assert server.said == [Ended.UNREAD]
        assert await server.ended(raw)


@pytest.mark.requirement("GW-12")
async def test_a_client_that_reads_slowly_but_reads_gets_it_all() -> None:
    async with bounded(stalled_seconds=0.2, stalled_bytes=1024) as server:
        raw = await server.connect(get(LARGE))
        await eventually(lambda: server.server.unread > 0)
        received, started, loop = 0, 0.0, asyncio.get_running_loop()
        started = loop.time()
        while received < LARGE:
            piece = await loop.sock_recv(raw, 1024 * 1024)
            assert piece, f"cut off after {received} bytes"
            received += len(piece)
            if loop.time() - started < 1.0:  # several times the bound
                await asyncio.sleep(0.01)
        await eventually(lambda: server.server.unread == 0)


@pytest.mark.requirement("GW-12")
async def test_of_unread_answers_that_are_too_much_together_the_largest_goes_first() -> None:
    async with bounded(unread_bytes=LARGE + LARGE // 2) as server:
        small = await server.connect(get(LARGE // 2))
        await eventually(lambda: len(server.server._unread) == 1)
        large = await server.connect(get(LARGE))
        await eventually(lambda: len(server.server._unread) == 2)
        another = await server.connect(get(LARGE // 2))
        await eventually(lambda: server.open == 2)
        assert await server.ended(large)
        assert server.said == [Ended.UNREAD_TOGETHER]
        assert {one.fileno() > 0 for one in (small, another)} == {True}
        assert server.server.unread <= LARGE + LARGE // 2


@pytest.mark.requirement("GW-12")
async def test_too_many_connections_make_room_by_ending_those_that_are_idle_longest() -> None:
    async with bounded(connections=3) as server:
        first, second, third = [await server.connect() for _ in range(3)]
        await eventually(lambda: server.open == 3)
        await asyncio.get_running_loop().sock_sendall(first, get(2))
        assert (await asyncio.get_running_loop().sock_recv(first, 65536)).startswith(b"HTTP/1.1 200")
        assert await server.get() == b"xx"
        assert await server.ended(second)
        assert server.said == [Ended.MADE_ROOM]
        for raw in (first, third):
            await asyncio.get_running_loop().sock_sendall(raw, get(2))
            assert (await asyncio.get_running_loop().sock_recv(raw, 65536)).startswith(b"HTTP/1.1 200")


@pytest.mark.requirement("GW-12")
async def test_where_all_connections_are_busy_a_new_one_is_not_taken() -> None:
    async with bounded(connections=2) as server:
        busy = [await server.connect(get(LARGE)) for _ in range(2)]
        await eventually(lambda: len(server.server._unread) == 2)
        assert await server.ended(await server.connect(get(2)))
        assert server.open == 2
        assert server.said == [Ended.TOO_MANY]
        busy[0].close()
        await eventually(lambda: server.open == 1)
        assert await server.get() == b"xx"


def test_half_of_the_files_that_may_be_open_are_for_clients() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))

        assert Connections(ConnectionBounds(), lambda _: None)._most == 256
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.requirement("GW-12")
async def test_on_a_running_gateway_a_client_that_does_not_read_holds_up_nobody(tmp_path: Path, modern_server: UpstreamServer) -> None:
    modern_server.behaviour["echo"] = {"content": [{"type": "text", "text": "x" * 8_000_000}]}
    modern_server.behaviour["get_me"] = {"content": [{"type": "text", "text": "small"}]}
    path = tmp_path / "manifests"
    path.write_text(dump([*installation("bot", team="engineering", url=modern_server.url), gateway("tools", pinned("bot"))]))
    meta = b'"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"bot__%s","arguments":{},' + meta + b"}}"

    def request(name: bytes, token: str) -> bytes:
        message = body % name
        head = (
            f"POST /v1/mcp/dev.tools HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
            f"Mcp-Name: bot__{name.decode()}\r\nContent-Length: {len(message)}\r\n\r\n"
        )
        return head.encode() + message

    async with gateway_process([OFFLINE, str(path)]) as running:
        await running.ready()
        host, port = running.url.removeprefix("http://").split(":")
        greedy = [socket.create_connection((host, int(port))) for _ in range(8)]
        for raw in greedy:
            raw.sendall(request(b"echo", ALICE))
        await eventually(lambda: len(modern_server.calls()) == 8)
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(50):
            writer.write(request(b"get_me", BOB))
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                assert head.startswith(b"HTTP/1.1 200")
                assert b"small" in await reader.readexactly(length)
        writer.close()
        for raw in greedy:
            raw.close()
