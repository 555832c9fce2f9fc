"""The upstream client against the official SDK's server: both eras, sessions or none, JSON or event streams."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from wharfinger_mcp import jsonrpc
from wharfinger_mcp.discovery import discover
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.envelope import Era, Identity
from wharfinger_mcp.errors import ProtocolError, TimedOutError
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import Notification, Params, Request
from wharfinger_mcp.listing import ListLimits, list_all
from wharfinger_mcp.upstream import CallLimits, Upstream

IDENTITY = Identity("wharfinger", "0.1.0")
NO_CREDENTIAL: Mapping[str, str] = {}
VARIANTS = {
    "stateful-sse": Era.LEGACY,
    "stateful-json": Era.LEGACY,
    "stateless-sse": Era.LEGACY,
    "stateless-json": Era.LEGACY,
    "modern-sse": Era.MODERN,
    "modern-json": Era.MODERN,
}
every_variant = pytest.mark.parametrize("variant", VARIANTS)


@pytest.fixture
def upstream(client: HttpClient, sdk_server: str, variant: str) -> Upstream:
    return Upstream(client, parse_endpoint(f"{sdk_server}/{variant}"), IDENTITY)


def tool_call(name: str, meta: object = None, **arguments: object) -> Params:
    members = {"name": name, "arguments": arguments} | ({} if meta is None else {"_meta": meta})
    return {member: jsonrpc.raw_json(value) for member, value in members.items()}


async def call(upstream: Upstream, params: Params, **more: Any) -> dict[str, Any]:
    response = await upstream.call("tools/call", params, NO_CREDENTIAL, **more)
    assert response.error is None
    result: dict[str, Any] = json.loads(msgspec.json.encode(response.result))
    return result


@every_variant
async def test_the_era_of_a_server_is_found_out(upstream: Upstream, variant: str) -> None:
    found = await upstream.open(NO_CREDENTIAL)
    assert found.era is VARIANTS[variant]
    assert found.protocol_version == ("2026-07-28" if found.era is Era.MODERN else "2025-11-25")
    assert (found.server_info.name, found.server_info.version, found.instructions) == ("sdk", "2.3", "be kind")
    assert {"tools", "prompts"} <= found.capabilities.keys()
    assert (found.session_id is not None) == variant.startswith("stateful")


@every_variant
async def test_a_tool_is_called(upstream: Upstream) -> None:
    for number in range(3):
        assert (await call(upstream, tool_call("tool-001", n=number)))["content"][0]["text"] == str(number)


@every_variant
async def test_calls_at_the_same_time_get_their_own_answers(upstream: Upstream) -> None:
    results = await asyncio.gather(*(call(upstream, tool_call("tool-001", n=number)) for number in range(20)))
    assert [result["content"][0]["text"] for result in results] == [str(number) for number in range(20)]


@every_variant
async def test_an_error_of_the_server_is_its_response(upstream: Upstream) -> None:
    response = await upstream.call("unknown/method", {}, NO_CREDENTIAL)
    assert response.error is not None
    assert response.error.code in (jsonrpc.METHOD_NOT_FOUND, jsonrpc.INVALID_PARAMS)


@every_variant
async def test_what_a_server_says_before_it_answers_can_be_heard(upstream: Upstream, variant: str) -> None:
    heard: list[str] = []

    async def listen(message: Request | Notification) -> None:
        heard.append(message.method)

    result = await call(upstream, tool_call("chatty", {"progressToken": "p"}, n=1), on_message=listen)

    assert result["content"][0]["text"] == "1"
    assert heard == (["notifications/progress"] * 3 if variant.endswith("sse") else [])


@every_variant
@pytest.mark.requirement("INS-3")
async def test_all_pages_of_500_tools_are_listed_an_empty_cursor_among_them(upstream: Upstream) -> None:
    tools = await list_all(upstream, "tools/list", NO_CREDENTIAL)
    assert [json.loads(bytes(tool))["name"] for tool in tools] == [f"tool-{number:03}" for number in range(500)]
    prompts = await list_all(upstream, "prompts/list", NO_CREDENTIAL)
    assert [json.loads(bytes(prompt))["name"] for prompt in prompts] == ["greet"]


@pytest.mark.parametrize("variant", ["stateful-sse", "modern-json"])
@pytest.mark.parametrize(
    ("limits", "bound"), [(ListLimits(items=120), "120 items"), (ListLimits(bytes=50_000), "bytes"), (ListLimits(pages=3), "3 pages")]
)
async def test_a_list_beyond_a_bound_is_refused(upstream: Upstream, limits: ListLimits, bound: str) -> None:
    with pytest.raises(ProtocolError, match=bound):
        await list_all(upstream, "tools/list", NO_CREDENTIAL, limits)


@every_variant
@pytest.mark.requirement("INS-3")
async def test_a_server_is_discovered(upstream: Upstream, variant: str) -> None:
    found = await discover(upstream, NO_CREDENTIAL)
    assert (found.era, found.server_info.name, found.dropped) == (VARIANTS[variant], "sdk", ())
    assert len(found.tools) == 500
    assert json.loads(found.tools[7].definition)["inputSchema"] == {"type": "object", "properties": {"n": {"type": "integer"}}}


@every_variant
async def test_a_slow_tool_is_left_and_the_next_call_served(upstream: Upstream) -> None:
    await upstream.open(NO_CREDENTIAL)
    with pytest.raises(TimedOutError):
        await call(upstream, tool_call("slow"), limits=CallLimits(seconds=0.3))
    assert (await call(upstream, tool_call("tool-001", n=1)))["content"][0]["text"] == "1"


@pytest.mark.parametrize("variant", ["stateful-sse", "stateful-json"])
async def test_a_forgotten_session_is_made_anew(client: HttpClient, upstream: Upstream) -> None:
    first = await upstream.open(NO_CREDENTIAL)
    ended = Upstream(client, upstream._endpoint, IDENTITY)
    ended._session = upstream._session
    await ended.close(NO_CREDENTIAL)

    assert (await call(upstream, tool_call("tool-001", n=1)))["content"][0]["text"] == "1"

    assert (await upstream.open(NO_CREDENTIAL)).session_id != first.session_id


@every_variant
async def test_a_known_era_is_not_probed_again(client: HttpClient, sdk_server: str, variant: str) -> None:
    upstream = Upstream(client, parse_endpoint(f"{sdk_server}/{variant}"), IDENTITY, VARIANTS[variant])
    assert (await call(upstream, tool_call("tool-001", n=1)))["content"][0]["text"] == "1"
