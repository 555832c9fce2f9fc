"""One exchange over a real socket, on both event loops."""

import asyncio
import socket
import threading
from asyncio import StreamReader, StreamWriter

import pytest

from eventually import eventually
from scripted_server import OK, Answering, Tcp, ask, take_request
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.errors import InterruptedCallError, NotMcpError, ProtocolError, TimedOutError, UpstreamError
from wharfinger_mcp.http_client import HttpClient, PoolLimits


async def test_a_connection_is_used_again(client: HttpClient, tcp: Tcp) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
    server = Answering(OK, chunked, OK)
    endpoint = await tcp(server)
    assert [await ask(client, endpoint) for _ in range(3)] == [b"ok"] * 3
    assert server.connections == 1


async def test_a_request_arrives_whole_whatever_its_size(client: HttpClient, tcp: Tcp) -> None:
    arrived = asyncio.get_running_loop().create_future()

    async def script(reader: StreamReader, writer: StreamWriter) -> None:
        arrived.set_result(await take_request(reader))
        writer.write(OK)
        await reader.read()

    endpoint = await tcp(script)
    await ask(client, endpoint, b"x" * 4_000_000)
    head, _, body = (await arrived).partition(b"\r\n\r\n")
    assert body == b"x" * 4_000_000
    assert head.startswith(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX: " + b"y" * 30_000 + b"\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;ext=1\r\nok\r\n0\r\nTrailer: x\r\n\r\n",
    ],
    ids=["after interim answers", "with a long head", "in chunks with extensions and trailers"],
)
async def test_an_answer_is_read_as_http_has_it(client: HttpClient, tcp: Tcp, answer: bytes) -> None:
    server = Answering(answer, OK)
    endpoint = await tcp(server)
    assert await ask(client, endpoint) == b"ok"
    assert await ask(client, endpoint) == b"ok"
    assert server.connections == 1


async def test_a_body_without_length_ends_with_the_connection(client: HttpClient, tcp: Tcp) -> None:
    endpoint = await tcp(Answering(b"HTTP/1.1 200 OK\r\n\r\nok", close=True))

    async def script(reader: StreamReader, writer: StreamWriter) -> None:
        await take_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nok")
        writer.write_eof()
        await reader.read()

    endpoint = await tcp(script)
    assert await ask(client, endpoint) == b"ok"


async def test_a_large_body_is_read_whole_while_the_server_is_made_to_wait(client: HttpClient, tcp: Tcp) -> None:
    body = bytes(range(256)) * 32_768
    endpoint = await tcp(Answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))
    assert await ask(client, endpoint, limit=len(body)) == body


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n", NotMcpError),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", NotMcpError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, NotMcpError),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000, NotMcpError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", NotMcpError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n" + b"x" * 100_001, ProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000, ProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: x\r\n" * 50_000, ProtocolError),
    ],
    ids=[
        "another protocol",
        "an upgrade",
        "a head without end",
        "interim answers without end",
        "two lengths",
        "a body over the limit",
        "tiny chunks over the limit",
        "trailers without end",
    ],
)
async def test_an_unusable_answer_is_an_error_and_ends_the_connection(
    client: HttpClient, tcp: Tcp, answer: bytes, error: type[UpstreamError]
) -> None:
    server = Answering(answer)
    endpoint = await tcp(server)
    with pytest.raises(error):
        await ask(client, endpoint)
    await asyncio.wait_for(server.ended.wait(), 5)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "half the chunks"],
)
@pytest.mark.parametrize("before", [0, 1], ids=["new connection", "kept connection"])
async def test_a_server_that_dies_amid_a_call_gets_it_once(client: HttpClient, tcp: Tcp, answer: bytes, before: int) -> None:
    requests = 0

    async def script(reader: StreamReader, writer: StreamWriter) -> None:
        nonlocal requests
        while True:
            await take_request(reader)
            requests += 1
            if requests > before:
                break
            writer.write(OK)
        writer.write(answer)
        await writer.drain()

    endpoint = await tcp(script)
    for _ in range(before):
        await ask(client, endpoint)

    with pytest.raises(InterruptedCallError):
        await ask(client, endpoint)

    assert requests == before + 1


async def test_a_connection_that_the_server_closed_is_noticed_before_anything_is_sent_on_it(client: HttpClient) -> None:
    """The server closes while the event loop is held, so only the kernel knows when the next request comes."""
    listener = socket.create_server(("127.0.0.1", 0))
    closed = threading.Event()
    requests = []

    def serve() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            requests.append(connection.recv(65536))
            connection.sendall(OK)
            connection.close()
            closed.set()

    listener.settimeout(5)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    endpoint = parse_endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}/")
    try:
        assert await ask(client, endpoint) == b"ok"
        assert closed.wait(5)
        assert await ask(client, endpoint) == b"ok"
    finally:
        thread.join(5)
        listener.close()
    assert len(requests) == 2


async def test_a_second_answer_in_a_row_is_never_taken_for_the_next_call(client: HttpClient, tcp: Tcp) -> None:
    for surplus in (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"H"):
        server = Answering(OK + surplus, OK)
        endpoint = await tcp(server)
        assert await ask(client, endpoint) == b"ok"
        assert await ask(client, endpoint) == b"ok"
        assert server.connections == 2


async def test_bytes_that_nobody_asked_for_end_an_idle_connection(tcp: Tcp) -> None:
    client = HttpClient(PoolLimits(idle_seconds=60))
    speak = asyncio.Event()
    ended = asyncio.Event()

    async def script(reader: StreamReader, writer: StreamWriter) -> None:
        await take_request(reader)
        writer.write(OK)
        await speak.wait()
        writer.write(OK)
        await reader.read()
        ended.set()

    endpoint = await tcp(script)
    assert await ask(client, endpoint) == b"ok"
    speak.set()
    await asyncio.wait_for(ended.wait(), 5)
    await client.close()


async def test_a_server_that_does_not_answer_in_time_is_left(client: HttpClient, tcp: Tcp) -> None:
    for beginning in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"):
        server = Answering(beginning)
        endpoint = await tcp(server)
        with pytest.raises(TimedOutError, match="in time"):
            await ask(client, endpoint, seconds=0.1)
        await asyncio.wait_for(server.ended.wait(), 5)
        assert server.requests == 1


@pytest.mark.parametrize(
    "beginning", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"], ids=["without an answer", "amid its answer"]
)
async def test_a_cancelled_call_ends_its_connection(client: HttpClient, tcp: Tcp, beginning: bytes) -> None:
    server = Answering(beginning)
    endpoint = await tcp(server)
    call = asyncio.create_task(ask(client, endpoint, seconds=60))
    await eventually(lambda: server.requests)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(server.ended.wait(), 5)


@pytest.mark.parametrize("ends", [True, False], ids=["which ends soon", "which does not end"])
async def test_an_answer_of_which_enough_was_read_gives_the_connection_back_if_it_ends_soon(
    client: HttpClient, tcp: Tcp, ends: bool
) -> None:
    finish = asyncio.Event()
    connections = 0

    async def script(reader: StreamReader, writer: StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await take_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        await finish.wait()
        if ends:
            writer.write(b"2\r\nxx\r\n0\r\n\r\n")
            await take_request(reader)
            writer.write(OK)
        await reader.read()
        ended.set()

    ended = asyncio.Event()
    endpoint = await tcp(script)
    head = endpoint.request_head("POST", {}, {}, 0)
    answer = await client.send(endpoint, head, b"", deadline=asyncio.get_running_loop().time() + 10, limit=1000)
    assert await answer.piece() == b"ok"
    answer.close(finishing=True)
    finish.set()
    if ends:
        await eventually(lambda: client._idle)
        assert await ask(client, endpoint) == b"ok"
        assert connections == 1
    else:
        await asyncio.wait_for(ended.wait(), 5)
