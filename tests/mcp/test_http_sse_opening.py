"""How a server of the older HTTP+SSE transport is found, and what its stream must begin with."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from eventually import eventually
from everything_process import everything_server
from recording_server import Http, RecordingServer, always
from sse_server import SseServer, refuse
from upstream_calls import CREDENTIAL, IDENTITY, call, older, params, value_of
from wharfinger_mcp import http_sse
from wharfinger_mcp.discovery import discover
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.errors import (
    NotMcpError,
    ProtocolError,
    RefusedError,
    TimedOutError,
    TooLargeError,
    UpstreamError,
)
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.session import TransportName
from wharfinger_mcp.upstream import CallLimits, Upstream

HANDSHAKE = ["GET", "initialize", "notifications/initialized"]


@pytest.fixture(scope="module")
def everything() -> Iterator[str]:
    with everything_server("127.0.0.1") as base:
        yield base


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_server_that_refuses_initialize_is_found_to_have_a_stream(client: HttpClient, http: Http, status: int) -> None:
    server = SseServer(refusal=status)
    upstream = await older(server, client, http, "Auto")

    assert value_of(await call(upstream)) == {"called": {"name": "a"}}
    assert value_of(await call(upstream)) == {"called": {"name": "a"}}

    methods = [method for _, method in server.requests]
    assert methods == ["server/discover", "initialize", *HANDSHAKE, "tools/call", "tools/call"]
    found = await upstream.open(CREDENTIAL)
    assert (found.era, found.protocol_version) == (Era.LEGACY, "2024-11-05")


async def test_a_server_declared_so_is_asked_for_its_stream_at_once_with_the_credential(client: HttpClient, http: Http) -> None:
    server = SseServer()
    assert value_of(await call(await older(server, client, http))) == {"called": {"name": "a"}}
    assert [method for _, method in server.requests] == [*HANDSHAKE, "tools/call"]
    assert {headers["authorization"] for headers in server.headers} == {"Bearer hunter2"}


async def test_a_server_declared_as_streamable_is_asked_for_no_stream(client: HttpClient, http: Http) -> None:
    server = SseServer()
    with pytest.raises(RefusedError, match="HTTP 405 to POST /mcp: are path and transport right"):
        await call(await older(server, client, http, "StreamableHTTP"))
    assert server.count()["GET"] == 0


async def test_a_server_without_a_stream_is_reported_with_its_first_refusal(client: HttpClient, http: Http) -> None:
    server = RecordingServer(replies={"*": always(404)})
    with pytest.raises(RefusedError, match="HTTP 404 to POST"):
        await call(await older(server, client, http, "Auto"))
    assert server.count()["GET"] == 1


async def test_a_server_replaced_by_a_streamable_one_is_found_out_at_the_next_call(client: HttpClient, http: Http) -> None:
    before, after = SseServer(), RecordingServer()
    serving: list[Any] = [before]

    async def serve(request: Any) -> Any:
        return await serving[0](request)

    upstream = await older(serve, client, http, "Auto")
    await call(upstream)
    serving[0] = after
    await before.say("")
    await eventually(lambda: before.closed)
    with pytest.raises(RefusedError):
        await call(upstream)
    assert value_of(await call(upstream)) == {"called": "tools/call"}


@pytest.mark.parametrize("named", ["{path}?session={session}", "?session={session}", "http://{host}{path}?session={session}"])
async def test_the_address_may_be_relative_or_absolute(client: HttpClient, http: Http, named: str) -> None:
    server = SseServer()
    endpoint = await http(server)
    server.opening = f"event: endpoint\ndata: {named.replace('{host}', endpoint.host)}\n\n"
    assert value_of(await call(Upstream(client, endpoint, IDENTITY, transport="SSE"))) == {"called": {"name": "a"}}


HOSTILE: dict[str, tuple[dict[str, Any], type[UpstreamError], str]] = {
    "an address on another port": ({"opening": "event: endpoint\ndata: http://127.0.0.1:1/mcp\n\n"}, ProtocolError, "another origin"),
    "an address on another host": ({"opening": "event: endpoint\ndata: //else.example/mcp\n\n"}, ProtocolError, "another origin"),
    "an address of another scheme": ({"opening": "event: endpoint\ndata: https://127.0.0.1/mcp\n\n"}, ProtocolError, "another origin"),
    "an address that is none": ({"opening": "event: endpoint\ndata: http://[/mcp\n\n"}, ProtocolError, "holds no URL"),
    "an address with a password": ({"opening": "event: endpoint\ndata: http://me:hunter2@127.0.0.1/\n\n"}, ProtocolError, "holds no URL"),
    "an address without end": ({"opening": f"event: endpoint\ndata: /{'x' * 5000}\n\n"}, ProtocolError, "holds no URL"),
    "an address that is not UTF-8": ({"opening": "event: endpoint\ndata: /\udcff\n\n"}, ProtocolError, "holds no URL"),
    "a message before the address": ({"opening": "data: {{}}\n\n"}, NotMcpError, "does not begin with an endpoint event"),
    "a huge event before the address": ({"opening": "data: " + "x" * 400_000}, TooLargeError, "more than 300000 bytes"),
    "silence": ({"opening": ": nothing\n\n"}, TimedOutError, "named no endpoint on it, in time"),
    "a web page": ({"stream_type": "text/html"}, NotMcpError, "no event stream"),
    "a 401 to the stream": ({"stream_status": 401}, RefusedError, "HTTP 401 to GET"),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_stream_that_does_not_begin_as_it_should_says_why_and_is_closed(
    client: HttpClient, http: Http, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_sse, "EVENT_BYTES", 300_000)
    wrong, expected, message = HOSTILE[case]
    monkeypatch.setattr(http_sse, "ENDPOINT_SECONDS", 0.3 if expected is TimedOutError else 10)
    server = SseServer(**wrong)
    with pytest.raises(expected, match=message) as failed:
        await call(await older(server, client, http))
    assert "hunter2" not in str(failed.value)
    await eventually(lambda: server.closed)
    assert [verb for verb, _ in server.requests] == ["GET"]


async def test_a_handshake_that_fails_closes_its_stream(client: HttpClient, http: Http) -> None:
    server = SseServer(behaviour={"initialize": refuse(500)})
    with pytest.raises(RefusedError, match="HTTP 500"):
        await call(await older(server, client, http))
    await eventually(lambda: server.closed)


async def test_a_stream_that_ends_before_the_address_is_no_mcp(client: HttpClient, http: Http) -> None:
    server = RecordingServer(replies={"GET": always(200, ": x\n\n", "text/event-stream")})
    with pytest.raises(NotMcpError, match="ended without an endpoint event"):
        await call(await older(server, client, http))


async def test_the_credential_goes_to_no_other_server(client: HttpClient, http: Http) -> None:
    other = RecordingServer()
    elsewhere = await http(other)
    server = SseServer(opening=f"event: endpoint\ndata: http://{elsewhere.host}/mcp\n\n")
    with pytest.raises(ProtocolError, match="another origin"):
        await call(await older(server, client, http))
    assert other.messages == []


@pytest.mark.parametrize("transport", ["Auto", "SSE"])
async def test_everything_of_a_server_is_discovered_over_its_stream(client: HttpClient, everything: str, transport: TransportName) -> None:
    upstream = Upstream(client, parse_endpoint(f"{everything}/sse"), IDENTITY, transport=transport)
    found = await discover(upstream, {})
    assert "test_simple_text" in {tool.name for tool in found.tools}
    assert found.server_info.name == "everything"
    response = await upstream.call("tools/call", params(name="test_simple_text"), {}, CallLimits(10))
    assert "simple text" in json.dumps(value_of(response))
    with contextlib.suppress(UpstreamError):
        await upstream.close({})
