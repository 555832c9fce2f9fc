"""The HTTP server over real sockets, with a small application of its own and short limits."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from eventually import eventually
from wharfinger_bridge.http_message import Head, Response, text_response
from wharfinger_bridge.http_server import Connection, HttpServer, Limits

WAIT = 10.0
PATIENT = Limits(body=1000, bodies=4000, connections=50, head_seconds=60, body_seconds=60, write_seconds=60, idle_seconds=60)


class Application:
    """Echoes bodies; `/refused` is decided on its head, `/wait` waits for its release, `/big` answers with 8 MB, `/fault` raises."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.waiting = 0
        self.cancelled = asyncio.Event()

    def admit(self, head: Head) -> Response | None:
        return text_response(401, "refused") if head.path == "/refused" else None

    async def answer(self, head: Head, body: bytes) -> Response:
        if head.path == "/fault":
            raise KeyError("planted secret")
        if head.path == "/big":
            return Response(200, b"x" * 8_000_000)
        if head.path == "/wait":
            self.waiting += 1
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return Response(200, b"<" + body + b">")


class Running:
    """A server, its application and raw connections to it."""

    def __init__(self, limits: Limits) -> None:
        self.application = Application()
        self.http = HttpServer(self.application, limits)
        self._listening: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._listening is None:
            self._listening = await asyncio.get_running_loop().create_server(lambda: Connection(self.http), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*self._listening.sockets[0].getsockname(), limit=2**24)
        self._writers.append(writer)
        writer.write(sent)
        return reader, writer

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        if self._listening is not None:
            self._listening.close()
        await self.http.drain(0)
        await eventually(lambda: not self.http.connections)


def request(path: str = "/", body: bytes = b"", headers: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n%b" % (path.encode(), len(body), headers, body)


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one response."""
    async with asyncio.timeout(WAIT):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        return int(head.split()[1]), await reader.readexactly(length)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Read to the end of the connection."""
    async with asyncio.timeout(WAIT):
        return await reader.read()


@pytest.fixture
async def running(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    server = Running(getattr(request, "param", PATIENT))
    yield server
    await server.close()


def limited(**changes: float) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("running", [replace(PATIENT, **changes)], indirect=True)  # type: ignore[arg-type]


async def test_requests_of_one_connection_are_answered_in_order_however_they_arrive(running: Running) -> None:
    wire = (
        request(body=b"1")
        + request("/refused")
        + b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\n\r\n"
        + request(body=b"3")
    )
    reader, writer = await running.connect(wire)
    expected = [(200, b"<1>"), (401, b"refused\n"), (200, b"<2>"), (200, b"<3>")]
    assert [await answer(reader) for _ in expected] == expected
    for byte in wire:
        writer.write(bytes((byte,)))
        await writer.drain()
    assert [await answer(reader) for _ in expected] == expected


async def test_very_many_pipelined_requests_neither_recurse_nor_pile_up(running: Running) -> None:
    reader, writer = await running.connect()
    for _ in range(20):
        writer.write(request("/refused") * 1000)
    for _ in range(20_000):
        assert (await answer(reader))[0] == 401
    assert len(running.http.connections) == 1


@pytest.mark.parametrize(
    "wire",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n" + request(),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n" + request(),
    ],
)
async def test_one_malformed_request_ends_its_connection(running: Running, wire: bytes) -> None:
    reader, _ = await running.connect(wire)
    received = await ended(reader)
    assert received.startswith(b"HTTP/1.1 400 ") and received.count(b"HTTP/1.1") == 1 and b"Connection: close" in received


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"GET /" + b"x" * 40_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 33_000 + b"\r\n\r\n", 431),
        (request(body=b"x" * 1001), 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", 413),
    ],
)
async def test_what_is_too_large_is_refused_before_it_is_kept(running: Running, wire: bytes, status: int) -> None:
    reader, _ = await running.connect(wire)
    assert (await answer(reader))[0] == status
    assert await ended(reader) == b""


async def test_a_refusal_arrives_though_its_body_is_still_being_sent(running: Running) -> None:
    reader, writer = await running.connect(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
    writer.write(b"x" * 8_000_000)
    await asyncio.wait_for(writer.drain(), WAIT)
    assert await answer(reader) == (401, b"refused\n")


@limited(head_seconds=0.2)
async def test_a_head_that_trickles_in_is_given_up(running: Running) -> None:
    reader, writer = await running.connect(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
    status = asyncio.create_task(answer(reader))
    while not status.done():
        writer.write(b"x")
        await asyncio.wait({status}, timeout=0.05)
    assert (await status)[0] == 408
    await eventually(lambda: not running.http.connections)


@limited(body_seconds=0.2)
async def test_a_body_that_trickles_in_is_given_up(running: Running) -> None:
    reader, _ = await running.connect(request(body=b"12345")[:-1])
    assert (await answer(reader))[0] == 408
    assert running.http.body_bytes == 0


@limited(idle_seconds=0.2)
async def test_an_idle_connection_is_closed(running: Running) -> None:
    reader, _ = await running.connect(request())
    assert (await answer(reader))[0] == 200
    assert await ended(reader) == b""


@limited(write_seconds=0.2)
async def test_a_peer_that_does_not_read_its_answer_is_given_up(running: Running) -> None:
    reader, writer = await running.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(request("/big") * 3)
    await eventually(lambda: running.http.connections)
    await eventually(lambda: not running.http.connections)
    assert not running.http.tasks
    writer.transport.abort()
    reader.feed_eof()


async def test_a_peer_that_reads_slowly_gets_everything(running: Running) -> None:
    reader, _ = await running.connect(request("/big") * 3 + request(body=b"last"))
    for _ in range(3):
        assert (await answer(reader))[1] == b"x" * 8_000_000
    assert await answer(reader) == (200, b"<last>")


async def test_a_peer_that_goes_away_cancels_its_request(running: Running) -> None:
    _, writer = await running.connect(request("/wait"))
    await eventually(lambda: running.application.waiting)
    writer.close()
    await asyncio.wait_for(running.application.cancelled.wait(), WAIT)
    await eventually(lambda: not running.http.tasks and running.http.body_bytes == 0)


async def test_reading_ahead_is_bounded_while_a_request_is_answered(running: Running) -> None:
    reader, writer = await running.connect(request("/wait"))
    await eventually(lambda: running.application.waiting)
    writer.write(request(body=b"y" * 1000) * 20_000)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(writer.drain(), 0.5)
    running.application.released.set()
    for _ in range(20_001):
        assert (await answer(reader))[0] == 200


@limited(connections=3)
async def test_a_full_house_closes_the_longest_idle_connection_and_turns_away_only_when_all_are_busy(running: Running) -> None:
    idle, _ = await running.connect(request())
    assert (await answer(idle))[0] == 200
    busy = [await running.connect(request("/wait")) for _ in range(2)]
    await eventually(lambda: running.application.waiting == 2)
    newer, writer = await running.connect(request(body=b"new"))
    assert await answer(newer) == (200, b"<new>")
    assert await ended(idle) == b""
    writer.write(request("/wait"))
    await eventually(lambda: running.application.waiting == 3)
    turned_away, _ = await running.connect(request())
    assert (await answer(turned_away))[0] == 503
    running.application.released.set()
    for reader, _ in busy:
        assert (await answer(reader))[0] == 200


async def test_bodies_are_bounded_together(running: Running) -> None:
    for _ in range(4):
        await running.connect(request("/wait", b"x" * 1000))
    await eventually(lambda: running.application.waiting == 4)
    reader, _ = await running.connect(request(body=b"x"))
    assert (await answer(reader))[0] == 503
    running.application.released.set()
    await eventually(lambda: running.http.body_bytes == 0)
    reader, _ = await running.connect(request(body=b"x"))
    assert (await answer(reader))[0] == 200


async def test_a_peer_that_waits_for_leave_to_send_its_body_gets_it(running: Running) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    reader, writer = await running.connect(head)
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ab")
    assert await answer(reader) == (200, b"<ab>")
    writer.write(head.replace(b"POST /", b"POST /refused"))
    assert (await answer(reader))[0] == 401


async def test_a_fault_of_the_application_is_a_plain_500_and_logged_without_its_text(
    running: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, writer = await running.connect(request("/fault"))
    assert await answer(reader) == (500, b"internal error\n")
    writer.write(request(body=b"next"))
    assert await answer(reader) == (200, b"<next>")
    logged = capfd.readouterr().err
    assert "bridge: fault error=KeyError at=" in logged and "planted" not in logged


async def test_a_connection_that_asks_to_be_closed_is(running: Running) -> None:
    reader, _ = await running.connect(request(body=b"1", headers=b"Connection: close\r\n") + request(body=b"2"))
    assert await answer(reader) == (200, b"<1>")
    assert await ended(reader) == b""


async def test_draining_finishes_what_is_in_flight_and_refuses_what_is_new(running: Running) -> None:
    idle, _ = await running.connect(request())
    await answer(idle)
    waiting, writer = await running.connect(request("/wait"))
    half, half_writer = await running.connect(request(body=b"later")[:20])
    await eventually(lambda: running.application.waiting and len(running.http.connections) == 3 and len(running.http.idle) == 1)
    draining = asyncio.create_task(running.http.drain(WAIT))
    assert await ended(idle) == b""
    half_writer.write(request(body=b"later")[20:])
    assert (await answer(half))[0] == 503
    assert not draining.done()
    running.application.released.set()
    received = await ended(waiting)
    assert received.startswith(b"HTTP/1.1 200 ") and b"Connection: close" in received
    assert await draining == 0
    writer.close()
