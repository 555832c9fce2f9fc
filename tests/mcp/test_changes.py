"""Hearing that a server's lists changed: of scripted servers of both eras, and of the official SDK's."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from eventually import eventually
from recording_server import Http, RecordingServer, Reply, always, error, result, streamed
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.changes import follow
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.envelope import Identity
from wharfinger_mcp.errors import RefusedError, TimedOutError, UpstreamError
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.upstream import Upstream

pytestmark = pytest.mark.requirement("INS-5")

IDENTITY = Identity("wharfinger", "0.1.0")
TELLS = {"tools": {"listChanged": True}}
ACKNOWLEDGED = {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {"notifications": {}}}
TOOLS_CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
PROMPTS_CHANGED = {"jsonrpc": "2.0", "method": "notifications/prompts/list_changed"}


def server(modern: bool, stream: Reply, capabilities: dict[str, Any] | None = None) -> RecordingServer:
    """Return a server of an era with this stream."""
    declared = TELLS if capabilities is None else capabilities

    async def begin(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        if modern:
            return result(message, {"supportedVersions": ["2026-07-28"], "capabilities": declared})
        made.sessions.append(f"session-{len(made.sessions)}")
        value = {"protocolVersion": "2025-11-25", "capabilities": declared}
        return result(message, value, headers={"Mcp-Session-Id": made.sessions[-1]})

    replies = {"server/discover": begin, "subscriptions/listen": stream} if modern else {"initialize": begin, "GET": stream}
    made = RecordingServer(modern, replies)
    return made


class Heard:
    """Counts what was heard."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


async def followed(client: HttpClient, http: Http, made: RecordingServer, heard: Callable[[], None], seconds: float = 10) -> bool:
    return await follow(Upstream(client, await http(made), IDENTITY), {"authorization": "Bearer planted"}, heard, seconds)


ERAS = pytest.mark.parametrize("modern", [False, True], ids=["legacy", "modern"])


@ERAS
async def test_an_open_stream_and_each_change_are_heard_until_the_server_ends_it(client: HttpClient, http: Http, modern: bool) -> None:
    end = {"jsonrpc": "2.0", "id": ..., "result": {"resultType": "complete"}}
    said = (ACKNOWLEDGED, TOOLS_CHANGED, ": keep-alive\n\n", PROMPTS_CHANGED, TOOLS_CHANGED, end)
    heard = Heard()
    made = server(modern, streamed(*(said if modern else said[1:-1])))

    assert await followed(client, http, made, heard)

    assert heard.times == 3
    if modern:
        asked = made.messages[-1]["params"]
        assert asked["notifications"] == {"toolsListChanged": True}
        assert made.headers[-1]["mcp-method"] == "subscriptions/listen"
    else:
        assert made.headers[-1]["accept"] == "text/event-stream"
        assert made.headers[-1]["mcp-session-id"] == "session-0"
    assert made.headers[-1]["authorization"] == "Bearer planted"


@pytest.mark.parametrize(
    ("modern", "stream"),
    [
        (False, always(405)),
        (False, always(404)),
        (True, lambda request, message: _refuse(message, jsonrpc.METHOD_NOT_FOUND, 404)),
    ],
    ids=["405", "404", "no such method"],
)
async def test_a_server_without_a_stream_says_so(client: HttpClient, http: Http, modern: bool, stream: Reply) -> None:
    heard = Heard()

    assert not await followed(client, http, server(modern, stream), heard)
    assert heard.times == 0


async def _refuse(message: dict[str, Any], code: int, status: int) -> web.StreamResponse:
    return error(message, code, status=status)


@ERAS
@pytest.mark.parametrize("capabilities", [{"tools": {}}, {"prompts": {"listChanged": True}}, {"tools": {"listChanged": "yes"}}])
async def test_a_server_that_announces_nothing_is_not_listened_to(
    client: HttpClient, http: Http, modern: bool, capabilities: dict[str, Any]
) -> None:
    made = server(modern, always(500), capabilities)

    assert not await followed(client, http, made, Heard())
    assert not {"GET", "subscriptions/listen"} & made.count().keys()


@pytest.mark.parametrize(
    ("modern", "stream", "expected"),
    [
        (False, always(401), RefusedError),
        (False, always(503), RefusedError),
        (False, always(200, "<html>"), UpstreamError),
        (False, streamed("data: " + "x" * 17_000_000), UpstreamError),
        (True, streamed(ACKNOWLEDGED), UpstreamError),
        (True, lambda request, message: _refuse(message, -32000, 400), UpstreamError),
    ],
    ids=["401", "503", "a page", "an event without end", "no end", "an error"],
)
async def test_a_stream_that_breaks_is_an_error(
    client: HttpClient, http: Http, modern: bool, stream: Reply, expected: type[UpstreamError]
) -> None:
    with pytest.raises(expected):
        await followed(client, http, server(modern, stream), Heard())


@ERAS
async def test_a_stream_has_an_end_of_its_own(client: HttpClient, http: Http, modern: bool) -> None:
    heard = Heard()

    assert await followed(client, http, server(modern, streamed(ACKNOWLEDGED, end=False)), heard, seconds=1)
    assert heard.times >= 1


async def test_a_stream_that_is_never_acknowledged_is_no_stream(client: HttpClient, http: Http) -> None:
    with pytest.raises(TimedOutError):
        await followed(client, http, server(True, streamed(": nothing\n\n", end=False)), Heard(), seconds=1)


@pytest.mark.parametrize("variant", ["stateful-sse", "modern-sse"])
async def test_the_official_sdks_server_is_heard(client: HttpClient, sdk_server: str, variant: str) -> None:
    upstream = Upstream(client, parse_endpoint(f"{sdk_server}/{variant}"), IDENTITY)
    heard = Heard()
    following = asyncio.create_task(follow(upstream, {}, heard, 60))
    await eventually(lambda: heard.times == 1)

    await upstream.call("tools/call", {"name": jsonrpc.raw_json("grow"), "arguments": jsonrpc.raw_json({})}, {})

    await eventually(lambda: heard.times == 2)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await upstream.close({})
