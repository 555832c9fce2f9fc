"""HTTP/1.1 towards clients, byte by byte: where requests end, what follows what, and when a connection does."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from eventually import eventually
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


async def test_requests_of_one_connection_are_answered_in_their_order_however_they_are_cut() -> None:
    sent = b"".join(post(b"%d" % number, path=b"/%d" % number) for number in range(5)) + chunked(b"fi", b"ve", path=b"/5")
    async with served() as scene:
        for size in (1, 7, len(sent)):
            client = await scene.connect()
            for begin in range(0, len(sent), size):
                client.send(sent[begin : begin + size])
                await asyncio.sleep(0)
            answers = [await client.answer() for _ in range(6)]
            assert [one.body for one in answers] == [b"0", b"1", b"2", b"3", b"4", b"five"]
            assert [one.headers["x-path"] for one in answers] == [f"/{number}" for number in range(6)]


async def test_the_same_head_with_another_length_is_another_body() -> None:
    async with served() as scene:
        for name in (b"Content-Length", b"content-length", b"CONTENT-LENGTH"):
            client = await scene.connect()
            for body in (b"one", b"three", b"", b"x" * 5000):
                client.send(post(body).replace(b"Content-Length", name))
                assert (await client.answer()).body == body


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\ncontent-length: 2",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity",
        b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: a\r\n b",
        b"POST / HTTP/1.1\r\nHost: x\nX: a",
        b"POST / HTTP/1.1\r\nHost: x\r\nHost: y",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: a\r\nContent-Type: b",
        b"GET /\r\nHost: x",
        b"GET / HTTP/1.1\r\nX-Host: x",
        b"PRI * HTTP/2.0",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nX" + b": y\r\nX" * 200,
    ],
)
async def test_a_head_that_two_readers_might_take_differently_is_refused_and_ends_the_connection(head: bytes) -> None:
    async with served() as scene:
        # The second time, the same head has been seen before.
        client = await scene.connect(post(b"") + post(b"") + head + b"\r\n\r\nX" + post(b""))
        assert [(await client.answer()).status for _ in range(3)] == [200, 200, 400]
        assert scene.seen == [("POST", "/a", b"")] * 2
        assert scene.server.connections.all[0].is_idle


async def test_a_head_without_end_is_refused() -> None:
    async with served() as scene:
        client = await scene.connect(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000)
        assert (await client.answer()).status == 431


@pytest.mark.parametrize("sent", [post(b"x" * 5 * LIMIT), chunked(*[b"x" * 1000] * 101)], ids=["length", "chunks"])
async def test_a_body_beyond_the_limit_is_refused_and_read_no_further(sent: bytes) -> None:
    async with served() as scene:
        client = await scene.connect(sent + post(b"next"))
        refused = await client.answer()
        assert (refused.status, refused.headers["connection"]) == (413, "close")
        assert len(scene.seen) == 1


async def test_chunks_whose_sizes_are_longer_than_their_contents_are_refused_too() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with served() as scene:
        client = await scene.connect(head + (b"1;" + b"x" * 1000 + b"\r\ny\r\n") * 400)
        assert (await client.answer()).status == 413


async def test_a_body_that_nobody_wanted_does_not_become_a_request() -> None:
    async def unread(exchange: Exchange) -> None:
        exchange.answer(200, {}, exchange.head.path.encode())

    async with served(unread) as scene:
        client = await scene.connect(post(b"GET /smuggled HTTP/1.1\r\n\r\n", path=b"/1")[:-10])
        assert (await client.answer()).body == b"/1"
        client.send(b"P/1.1\r\n\r\n" + b"\r\n")
        client.send(post(b"", path=b"/2"))
        assert (await client.answer()).body == b"/2"


async def test_a_large_body_that_nobody_wanted_is_passed_over_or_ends_the_connection() -> None:
    async def unread(exchange: Exchange) -> None:
        exchange.answer(200, {}, b"")

    async with served(unread) as scene:
        sent = post(b"x" * 100_000)
        client = await scene.connect(sent[:60_000])
        assert "connection" not in (await client.answer()).headers
        client.send(sent[60_000:] + post(b""))
        assert (await client.answer()).status == 200
        client.send(post(b"x" * 300_000)[:1000])
        assert (await client.answer()).headers["connection"] == "close"


async def test_what_follows_chunks_that_nobody_wanted_is_not_read() -> None:
    async def unread(exchange: Exchange) -> None:
        exchange.answer(200, {}, b"")

    async with served(unread) as scene:
        client = await scene.connect(chunked(b"abc")[:-5])
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.rest() == b""


async def test_who_expects_to_be_told_to_go_on_is_told_when_the_body_is_wanted() -> None:
    async with served() as scene:
        client = await scene.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        async with asyncio.timeout(10):
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"ok")
        assert (await client.answer()).body == b"ok"


async def test_an_offer_of_another_protocol_is_passed_over() -> None:
    async with served() as scene:
        client = await scene.connect(post(b"ok", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"))
        client.send(post(b"still here"))
        assert [(await client.answer()).body for _ in range(2)] == [b"ok", b"still here"]


@pytest.mark.parametrize(
    ("sent", "stays"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nHost: x\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", True),
    ],
    ids=["1.1", "1.1 close", "1.0", "1.0 keep-alive"],
)
async def test_a_connection_lasts_as_long_as_its_client_says(sent: bytes, stays: bool) -> None:
    async with served() as scene:
        client = await scene.connect(sent)
        answered = await client.answer()
        assert (answered.headers.get("connection") == "close") is not stays
        if stays:
            client.send(sent)
            assert (await client.answer()).status == 200
        else:
            assert await client.rest() == b""


async def test_to_head_nothing_is_answered_but_the_head() -> None:
    async with served() as scene:
        client = await scene.connect(post(b"body").replace(b"POST", b"HEAD"))
        async with asyncio.timeout(10):
            assert b"Content-Length: 4\r\n" in await client.reader.readuntil(b"\r\n\r\n")
        client.send(post(b"next"))
        assert (await client.answer()).body == b"next"


@pytest.mark.parametrize(("version", "framed"), [(b"1.1", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), (b"1.0", b"abcde")])
async def test_an_answer_in_pieces_ends_where_it_can_be_seen(version: bytes, framed: bytes) -> None:
    async def stream(exchange: Exchange) -> None:
        exchange.begin({"Content-Type": "text/event-stream"})
        for piece in (b"abc", b"de"):
            await exchange.write(piece)
        exchange.end()

    async with served(stream) as scene:
        client = await scene.connect(b"GET / HTTP/%b\r\nHost: x\r\nConnection: close\r\n\r\n" % version)
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
        assert body == framed
        assert (b"Transfer-Encoding: chunked" in head) is (version == b"1.1")


async def test_a_connection_that_nobody_uses_is_closed_and_one_with_a_request_under_way_is_not() -> None:
    gate = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        if exchange.head.path == "/wait":
            await gate.wait()
        exchange.answer(200, {}, b"")

    async with served(wait, keepalive_seconds=0.3) as scene:
        busy = await scene.connect(post(b"", path=b"/wait"))
        idle = await scene.connect(post(b""))
        await idle.answer()
        assert await idle.rest() == b""
        gate.set()
        assert (await busy.answer()).status == 200


async def test_what_was_made_of_a_head_is_forgotten_within_a_second_or_two() -> None:
    class Conclusion:
        """What somebody concludes."""

    conclusions: list[weakref.ref[Conclusion]] = []

    async def conclude(exchange: Exchange) -> None:
        exchange.head.memo = exchange.head.memo or Conclusion()
        conclusions.append(weakref.ref(exchange.head.memo))  # type: ignore[arg-type]
        exchange.answer(200, {}, b"")

    async with served(conclude, keepalive_seconds=30.0) as scene:
        client = await scene.connect(post(b"") + post(b""))
        for _ in range(2):
            await client.answer()
        assert conclusions[0]() is conclusions[1]()
        await eventually(lambda: conclusions[0]() is None)


async def test_a_client_that_leaves_is_noticed_while_its_request_is_under_way() -> None:
    left, begun = asyncio.Event(), asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        exchange.leaving = {None: left.set}
        begun.set()
        await left.wait()
        with suppress(ConnectionError):
            exchange.begin({})

    async with served(wait) as scene:
        client = await scene.connect(post(b""))
        await begun.wait()
        client.writer.transport.abort()
        async with asyncio.timeout(10):
            await left.wait()
        await eventually(lambda: not scene.server.connections.all)


async def test_a_server_that_ends_lets_requests_end_and_takes_no_more() -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        begun.set()
        await gate.wait()
        exchange.answer(200, {}, b"done")

    async with served(wait) as scene:
        busy, idle = await scene.connect(post(b"") + post(b"")), await scene.connect()
        await begun.wait()
        ending = asyncio.create_task(scene.server.close(10.0))
        assert await idle.rest() == b""
        gate.set()
        answered = await busy.answer()
        assert (answered.body, answered.headers["connection"]) == (b"done", "close")
        await busy.rest()
        async with asyncio.timeout(10):
            await ending
        with pytest.raises(OSError):
            await scene.connect()


async def test_a_client_that_could_not_know_that_the_server_ends_is_answered_once_more() -> None:
    async with served() as scene:
        client = await scene.connect(post(b"one"))
        await client.answer()
        ending = asyncio.create_task(scene.server.close(10.0))
        await asyncio.sleep(0)
        client.send(post(b"two"))
        answered = await client.answer()
        assert (answered.body, answered.headers["connection"]) == (b"two", "close")
        async with asyncio.timeout(10):
            await ending


async def test_a_field_that_would_end_the_head_is_never_written(caplog: pytest.LogCaptureFixture) -> None:
    async def split(exchange: Exchange) -> None:
        exchange.answer(200, {"X": "a\r\nSet-Cookie: b"}, b"")

    async with served(split) as scene:
        client = await scene.connect(post(b""))
        with suppress(ConnectionError):
            assert await client.rest() == b""
    assert "a connection failed inside the gateway" in caplog.text
