"""The pool of connections, on both event loops."""

import asyncio
import ipaddress
from asyncio import StreamReader, StreamWriter

import pytest

from eventually import eventually
from free_port import free_port
from scripted_server import OK, Answering, Tcp, ask, take_request
from wharfinger_mcp.endpoint import Address, parse_endpoint
from wharfinger_mcp.errors import BusyError, InterruptedCallError, UnreachableError
from wharfinger_mcp.http_client import HttpClient, PoolLimits


async def test_idle_connections_are_closed_when_their_time_is_over(tcp: Tcp) -> None:
    client = HttpClient(PoolLimits(idle_seconds=0.02))
    server = Answering(OK)
    endpoint = await tcp(server)
    await ask(client, endpoint)
    await asyncio.wait_for(server.ended.wait(), 5)
    assert server.requests == 1
    await client.close()


async def test_a_server_that_keeps_connections_for_a_second_gets_a_new_one_for_each_call(client: HttpClient, tcp: Tcp) -> None:
    brief = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok"
    server = Answering(brief, brief)
    endpoint = await tcp(server)
    await ask(client, endpoint)
    await ask(client, endpoint)
    assert server.connections == 2


async def test_a_server_that_keeps_connections_longer_is_taken_at_its_word(tcp: Tcp) -> None:
    client = HttpClient(PoolLimits(idle_seconds=0))
    patient = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60, max=100\r\nContent-Length: 2\r\n\r\nok"
    server = Answering(patient, patient)
    endpoint = await tcp(server)
    await ask(client, endpoint)
    await ask(client, endpoint)
    assert server.connections == 1
    await client.close()


async def test_a_call_beyond_the_bound_is_refused_at_once_and_one_after_an_end_is_not(tcp: Tcp) -> None:
    client = HttpClient(PoolLimits(connections=2))
    hold = asyncio.Event()

    async def script(reader: StreamReader, writer: StreamWriter) -> None:
        while True:
            await take_request(reader)
            await hold.wait()
            writer.write(OK)

    endpoint = await tcp(script)
    calls = [asyncio.create_task(ask(client, endpoint)) for _ in range(2)]
    await eventually(lambda: len(client._origins) == 2)
    with pytest.raises(BusyError, match="2 calls"):
        await ask(client, endpoint)
    hold.set()
    assert await asyncio.gather(*calls) == [b"ok", b"ok"]
    assert await ask(client, endpoint) == b"ok"
    await client.close()


async def test_failed_connections_do_not_count_against_the_bound() -> None:
    client = HttpClient(PoolLimits(connections=1))
    endpoint = parse_endpoint(f"http://127.0.0.1:{free_port()}/")
    for _ in range(3):
        with pytest.raises(UnreachableError, match=r"cannot connect to 127.0.0.1:\d+: Connection refused"):
            await ask(client, endpoint)
    await client.close()


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "a" * 64 + ".example"])
async def test_an_unknown_name_is_unreachable(client: HttpClient, host: str) -> None:
    with pytest.raises(UnreachableError, match=f"cannot resolve {host}: "):
        await ask(client, parse_endpoint(f"http://{host}/"))


async def test_the_next_address_is_tried_when_one_does_not_answer(tcp: Tcp) -> None:
    async def resolve(host: str, port: int) -> tuple[Address, ...]:
        return ipaddress.ip_address("127.0.0.2"), ipaddress.ip_address("127.0.0.1")

    client, port = HttpClient(resolve=resolve), (await tcp(Answering(OK))).origin.port
    assert await ask(client, parse_endpoint(f"http://localhost:{port}/")) == b"ok"
    await client.close()


async def test_closing_ends_every_connection_and_refuses_more(tcp: Tcp) -> None:
    client = HttpClient()
    idle, busy = Answering(OK), Answering(b"HTTP/1.1 200 OK\r\n")
    await ask(client, await tcp(idle))
    endpoint = await tcp(busy)
    call = asyncio.create_task(ask(client, endpoint))
    await eventually(lambda: busy.requests)

    await client.close()

    with pytest.raises(InterruptedCallError):
        await call
    await asyncio.wait_for(asyncio.gather(idle.ended.wait(), busy.ended.wait()), 5)
    with pytest.raises(UnreachableError, match="closed"):
        await ask(client, endpoint)
