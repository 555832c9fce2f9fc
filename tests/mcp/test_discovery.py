"""Lists of odd servers, and which tools of them can be used."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from msgspec import Raw

from recording_server import Http, RecordingServer, error, result
from wharfinger_mcp.discovery import DroppedTool, discover, sort_out
from wharfinger_mcp.envelope import Era, Identity
from wharfinger_mcp.errors import ProtocolError
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.listing import ListLimits, list_all
from wharfinger_mcp.upstream import Upstream

pytestmark = pytest.mark.requirement("INS-3")

IDENTITY = Identity("wharfinger", "0.1.0")
OBJECT = {"type": "object"}


def listing(page: Callable[[int], object]) -> RecordingServer:
    """Return a server whose n-th page is `page(n)`."""
    pages = iter(range(10_000))

    async def reply(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return result(message, page(next(pages)))

    return RecordingServer(modern=True, replies={"tools/list": reply})


async def listed(client: HttpClient, http: Http, server: RecordingServer, limits: ListLimits | None = None) -> list[Any]:
    found = await list_all(Upstream(client, await http(server), IDENTITY), "tools/list", {}, limits)
    return [json.loads(bytes(item)) for item in found]


@pytest.mark.parametrize("last", [{"tools": [2]}, {"tools": [2], "nextCursor": None}])
async def test_only_an_absent_or_null_cursor_ends_a_list(client: HttpClient, http: Http, last: object) -> None:
    server = listing(lambda number: ({"tools": [0], "nextCursor": "a"}, {"tools": [], "nextCursor": ""}, last)[number])
    assert await listed(client, http, server) == [0, 2]
    assert [message["params"].get("cursor") for message in server.messages[1:]] == [None, "a", ""]


ENDLESS: dict[str, tuple[Callable[[int], object], str]] = {
    "the same cursor again": (lambda number: {"tools": [], "nextCursor": "a"}, "same cursor twice"),
    "cursors in a circle": (lambda number: {"tools": [], "nextCursor": str(number % 3)}, "same cursor twice"),
    "ever new cursors": (lambda number: {"tools": [], "nextCursor": str(number)}, "more than 20 pages"),
    "too many items": (lambda number: {"tools": [0] * 40, "nextCursor": str(number)}, "more than 100 items"),
    "too many bytes": (lambda number: {"tools": ["x" * 2000], "nextCursor": str(number)}, "9000 bytes"),
    "one page too large": (lambda number: {"tools": ["x" * 100_000]}, "more than"),
    "no list": (lambda number: {"tools": {}}, "another shape"),
    "no member": (lambda number: {}, "another shape"),
    "no object": (lambda number: [], "no JSON-RPC response"),
    "a cursor that is a number": (lambda number: {"tools": [], "nextCursor": 5}, "another shape"),
}


@pytest.mark.parametrize("case", ENDLESS)
async def test_a_list_that_has_no_end_or_no_shape_is_refused(client: HttpClient, http: Http, case: str) -> None:
    page, message = ENDLESS[case]
    with pytest.raises(ProtocolError, match=message):
        await listed(client, http, listing(page), ListLimits(items=100, bytes=9_000, pages=20))


async def test_a_server_that_refuses_to_list_is_named_by_its_code(client: HttpClient, http: Http) -> None:
    async def refuse(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return error(message, -32603, "hunter2")

    with pytest.raises(ProtocolError, match="refused tools/list with error -32603") as failed:
        await listed(client, http, RecordingServer(modern=True, replies={"tools/list": refuse}))
    assert "hunter2" not in str(failed.value)


async def test_a_server_is_asked_for_nothing_that_it_does_not_declare(client: HttpClient, http: Http) -> None:
    async def nothing(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return result(message, {"supportedVersions": ["2026-07-28"], "capabilities": {"prompts": {}}})

    server = RecordingServer(modern=True, replies={"server/discover": nothing})
    found = await discover(Upstream(client, await http(server), IDENTITY), {})
    assert (found.tools, found.capabilities) == ((), {"prompts": {}})
    assert server.count() == {"server/discover": 1}


DROPPED: dict[str, tuple[object, str]] = {
    "no object": (5, "no tool definition"),
    "no name": ({"inputSchema": OBJECT}, "no tool definition"),
    "a name that is no text": ({"name": 5, "inputSchema": OBJECT}, "no tool definition"),
    "an empty name": ({"name": "", "inputSchema": OBJECT}, "1 to 256 printable"),
    "a name without end": ({"name": "a" * 257, "inputSchema": OBJECT}, "1 to 256 printable"),
    "a name with a line end": ({"name": "a\nb", "inputSchema": OBJECT}, "1 to 256 printable"),
    "a schema that is no object": ({"name": "a", "inputSchema": []}, "no tool definition"),
    "a schema of null": ({"name": "a", "inputSchema": None}, "no tool definition"),
    "an invalid annotation": ({"name": "a", "inputSchema": {"x-mcp-header": "A"}}, "x-mcp-header"),
}


@pytest.mark.parametrize("case", DROPPED)
def test_a_tool_no_client_could_use_is_left_out_with_the_reason_and_the_others_stay(case: str) -> None:
    definition, reason = DROPPED[case]
    good = {"name": "good", "inputSchema": OBJECT}
    tools, dropped = sort_out((raw(good), raw(definition)), Era.MODERN)
    assert [tool.name for tool in tools] == ["good"]
    assert len(dropped) == 1
    assert reason in dropped[0].reason


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({"name": "a", "description": "x" * 300_000}, "bytes, more than 262144"),
        ({"name": "a", "x": json.loads("[" * 70 + "]" * 70)}, "64 levels"),
    ],
)
def test_a_tool_larger_or_deeper_than_its_readers_bear_is_left_out_alone(definition: object, reason: str) -> None:
    tools, dropped = sort_out((raw(definition), raw({"name": "good"})), Era.LEGACY)
    assert [tool.name for tool in tools] == ["good"]
    assert [(one.name, reason in one.reason) for one in dropped] == [("a", True)]


def test_a_tool_nested_without_end_is_left_out() -> None:
    bomb = Raw(b'{"name":"a","inputSchema":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}")
    assert sort_out((bomb,), Era.MODERN) == ((), (DroppedTool("#1", "its definition is nested too deeply"),))


def test_of_two_tools_with_one_name_the_first_is_used() -> None:
    tools, dropped = sort_out((raw({"name": "a", "title": "1"}), raw({"name": "a", "title": "2"})), Era.LEGACY)
    assert [json.loads(tool.definition)["title"] for tool in tools] == ["1"]
    assert dropped == (DroppedTool("a", "a tool before it has the same name"),)


def test_a_legacy_server_may_use_the_annotation_as_it_likes() -> None:
    tools, dropped = sort_out((raw({"name": "a", "inputSchema": {"x-mcp-header": "A"}}),), Era.LEGACY)
    assert ([tool.name for tool in tools], dropped) == (["a"], ())


def test_a_definition_stays_as_the_server_wrote_it() -> None:
    written = b'{ "name":"a","inputSchema":{"$defs":{"x":{"$anchor":"y"}},"default":1.0},"future":[ ],"_meta":{"k":"\\u00e9"}}'
    tools, _ = sort_out((Raw(written),), Era.MODERN)
    assert tools[0].definition == written


def test_a_missing_schema_becomes_the_one_of_any_object_and_the_rest_stays() -> None:
    tools, _ = sort_out((Raw(b'{"name":"a","future":[ ]}'),), Era.MODERN)
    assert tools[0].definition == b'{"name":"a","future":[ ],"inputSchema":{"type":"object"}}'


def test_tools_are_sorted_by_name() -> None:
    tools, _ = sort_out(tuple(raw({"name": name}) for name in "cab"), Era.MODERN)
    assert [tool.name for tool in tools] == ["a", "b", "c"]


def raw(value: object) -> Raw:
    return Raw(json.dumps(value).encode())
