"""Egress rules at the moment of connecting, on both event loops: names that change, addresses of which some are shut, rules that tighten."""

import asyncio
import ipaddress
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from eventually import eventually
from free_port import free_port
from own_address import ADDRESS, rules
from scripted_server import OK, Answering, Tcp, ask, take_request
from wharfinger_crds.connection import Connection
from wharfinger_mcp.egress_guard import EgressGuard, guard_of
from wharfinger_mcp.endpoint import Address, Endpoint, parse_endpoint
from wharfinger_mcp.errors import EgressRefusedError, InterruptedCallError
from wharfinger_mcp.http_client import HttpClient

pytestmark = pytest.mark.requirement("ENV-8")

NAME = "rebound.example"
PATIENT = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=100\r\nContent-Length: 2\r\n\r\nok"


class Resolver:
    """Answers each question with the next of its answers, and the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> tuple[Address, ...]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return tuple(ipaddress.ip_address(one) for one in found.split())


@pytest.fixture
def resolver() -> Resolver:
    return Resolver()


@pytest.fixture
async def client(resolver: Resolver) -> AsyncIterator[HttpClient]:
    made = HttpClient(resolve=resolver)
    yield made
    await made.close()


def guard(environment: str = "prod", **egress: Any) -> EgressGuard:
    url = "https://elsewhere.example/"
    return guard_of(Connection(namespace="a", name="x", uid="u", entry="e", environment=environment, url=url, egress=rules(**egress)))


def at(endpoint: Endpoint, host: str = NAME, of: Callable[[], EgressGuard] = guard) -> Endpoint:
    return parse_endpoint(f"http://{host}:{endpoint.origin.port}/mcp", guard=of())


async def holding(reader: StreamReader, writer: StreamWriter) -> None:
    """Answer nothing."""
    await take_request(reader)
    await reader.read()


@pytest.mark.parametrize(
    "then", ["127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "10.255.0.1", "127.0.0.1 10.255.0.1"]
)
async def test_a_name_that_resolves_to_something_else_at_the_next_connection_is_refused(
    client: HttpClient, resolver: Resolver, tcp: Tcp, then: str
) -> None:
    ours, inside = Answering(OK, close=True), Answering(OK)
    port = free_port()
    endpoint = await tcp(ours, ADDRESS, port)
    await tcp(inside, "127.0.0.1", port)
    resolver.answers = [ADDRESS, then]

    assert await ask(client, at(endpoint)) == b"ok"
    await asyncio.wait_for(ours.ended.wait(), 5)
    with pytest.raises(EgressRefusedError, match=f"environment prod: .*{NAME}:{endpoint.origin.port}"):
        await ask(client, at(endpoint))

    assert (inside.connections, ours.connections) == (0, 1)
    assert resolver.asked == [NAME, NAME]


async def test_a_name_cannot_change_between_the_check_and_the_connection(client: HttpClient, resolver: Resolver, tcp: Tcp) -> None:
    ours, inside = Answering(OK), Answering(OK)
    port = free_port()
    endpoint = await tcp(ours, ADDRESS, port)
    await tcp(inside, "127.0.0.1", port)
    resolver.answers = [ADDRESS, "127.0.0.1"]

    assert await ask(client, at(endpoint)) == b"ok"

    assert (inside.connections, ours.connections, resolver.asked) == (0, 1, [NAME])


async def test_of_several_addresses_only_those_are_connected_to_that_the_rules_open(
    client: HttpClient, resolver: Resolver, tcp: Tcp
) -> None:
    ours, inside = Answering(OK), Answering(OK)
    port = free_port()
    endpoint = await tcp(ours, ADDRESS, port)
    await tcp(inside, "127.0.0.1", port)
    resolver.answers = [f"127.0.0.1 ::1 169.254.169.254 {ADDRESS}"]

    assert await ask(client, at(endpoint)) == b"ok"

    assert (inside.connections, ours.connections) == (0, 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "localhost"])
async def test_an_address_in_the_url_is_judged_like_one_that_a_name_resolved_to(
    client: HttpClient, resolver: Resolver, tcp: Tcp, host: str
) -> None:
    inside = Answering(OK)
    endpoint = await tcp(inside)
    resolver.answers = ["127.0.0.1"]

    def widest() -> EgressGuard:
        return guard(mode="Restricted", cidrs=[{"cidr": "0.0.0.0/0"}, {"cidr": "127.0.0.1/32"}, {"cidr": "::1/128"}, {"cidr": "::/0"}])

    with pytest.raises(EgressRefusedError, match="which no rule opens"):
        await ask(client, at(endpoint, host, widest))
    assert inside.connections == 0


async def test_a_connection_that_is_kept_is_not_asked_about_again(client: HttpClient, resolver: Resolver, tcp: Tcp) -> None:
    server = Answering(OK, OK, OK)
    endpoint = at(await tcp(server, ADDRESS))
    resolver.answers = [ADDRESS]

    for _ in range(3):
        assert await ask(client, endpoint) == b"ok"

    assert (server.connections, resolver.asked) == (1, [NAME])


async def test_a_connection_of_one_environment_is_not_used_for_another(client: HttpClient, tcp: Tcp) -> None:
    server = Answering(OK, OK)
    endpoint = await tcp(server, ADDRESS)

    assert await ask(client, at(endpoint, ADDRESS)) == b"ok"
    assert await ask(client, at(endpoint, ADDRESS, lambda: guard("staging"))) == b"ok"
    assert server.connections == 2
    with pytest.raises(EgressRefusedError, match="environment closed: no rule of mode DenyAll opens"):
        await ask(client, at(endpoint, ADDRESS, lambda: guard("closed", mode="DenyAll")))
    assert server.connections == 2


async def test_what_is_idle_under_rules_of_before_is_closed(client: HttpClient, tcp: Tcp) -> None:
    before, other = Answering(PATIENT, PATIENT), Answering(PATIENT, PATIENT)
    endpoint, kept = at(await tcp(before, ADDRESS), ADDRESS), at(await tcp(other, ADDRESS), ADDRESS, lambda: guard("staging"))
    client.enforce({guard(), guard("staging")})
    await ask(client, endpoint)
    await ask(client, kept)

    client.enforce({guard(mode="AllowAll"), guard("staging")})

    await asyncio.wait_for(before.ended.wait(), 5)
    assert await ask(client, kept) == b"ok"
    assert (other.connections, other.requests) == (1, 2)
    with pytest.raises(EgressRefusedError, match="have changed since the call began"):
        await ask(client, endpoint)
    assert before.connections == 1


async def test_a_call_under_way_to_what_is_shut_now_is_broken_off(client: HttpClient, tcp: Tcp) -> None:
    call = asyncio.create_task(ask(client, at(await tcp(holding, ADDRESS), ADDRESS)))
    await eventually(lambda: client._origins)

    client.enforce({guard(mode="DenyAll"), guard("staging")})

    with pytest.raises(InterruptedCallError):
        await asyncio.wait_for(call, 5)


async def test_a_call_under_way_to_what_is_still_open_ends_by_itself_and_its_connection_with_it(client: HttpClient, tcp: Tcp) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def script(reader: StreamReader, writer: StreamWriter) -> None:
        await take_request(reader)
        asked.set()
        await answer.wait()
        writer.write(PATIENT)
        await reader.read()

    call = asyncio.create_task(ask(client, at(await tcp(script, ADDRESS), ADDRESS)))
    await asked.wait()
    wider: dict[str, Any] = {"mode": "Restricted", "cidrs": [{"cidr": f"{ADDRESS}/32"}], "domains": [{"name": "more.example"}]}
    client.enforce({guard(**wider), guard("staging", mode="DenyAll")})
    answer.set()

    assert await asyncio.wait_for(call, 5) == b"ok"
    await eventually(lambda: not client._origins, 5)
