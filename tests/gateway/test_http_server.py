"""HTTP/1.1 towards clients, byte by byte: where requests end, and what is none."""

import asyncio

import pytest

from served_http import LIMIT, chunked, post, served
from wharfinger_gateway.http_exchange import Exchange


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
