"""HTTP/1.1 towards clients: what follows an answer, and when a connection ends."""

import asyncio
import weakref
from contextlib import suppress

import pytest

from eventually import eventually
from served_http import post, served
from wharfinger_gateway.http_exchange import Exchange


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
