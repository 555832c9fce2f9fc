"""Tools that stand for resources: their names and definitions, and what a resource's contents become."""

import itertools
import json
import re
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from recording_server import Http, RecordingServer, Reply, error, result
from wharfinger_mcp.discovery import discover, sort_out
from wharfinger_mcp.envelope import Era, Identity
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.resource_tool import MARK, MAX_RESOURCES, read_params, resource_tools, resource_uri, tool_names, tool_result
from wharfinger_mcp.upstream import Upstream

pytestmark = pytest.mark.requirement("INS-4")

IDENTITY = Identity("wharfinger", "0.1.0")


def raw(value: object) -> Raw:
    return Raw(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("file:///docs/Read Me.md", "read_resource_file_docs_read_me_md"),
        ("ünïcode://ß", "read_resource_n_code"),
        ("://", "read_resource_resource"),
        ("test://" + "a" * 100, "read_resource_test_" + "a" * 36 + "_"),
    ],
)
def test_a_name_comes_from_the_uri_and_fits_every_client(uri: str, name: str) -> None:
    (found,) = tool_names([uri])

    assert found.startswith(name[:40])
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", found)


@given(st.sets(st.text(min_size=1, max_size=120), max_size=30))
def test_every_resource_has_a_name_of_its_own_whatever_the_order(uris: set[str]) -> None:
    ordered = sorted(uris)

    names = tool_names(ordered)

    assert sorted(names.values()) == ordered
    assert names == tool_names(reversed(ordered))


def test_resources_that_would_share_a_name_both_carry_a_hash() -> None:
    one, other = tool_names(["a://x", "a:/x"])

    assert one[:-8] == other[:-8] == "read_resource_a_x_"


def test_a_definition_says_what_is_read_and_carries_the_mark() -> None:
    tools, dropped = resource_tools([raw({"uri": "a://x", "name": "X", "description": "All of it.", "mimeType": "text/plain"})])

    (definition,) = tools.values()
    assert json.loads(definition) == {
        "name": "read_resource_a_x", "title": "X", "description": "Reads the resource X (text/plain). All of it.",
        "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
        "annotations": {"readOnlyHint": True}, "_meta": {MARK: "a://x"},
    }  # fmt: skip
    assert resource_uri(definition) == "a://x"
    assert dropped == ()


def test_what_is_no_resource_is_left_out_singly() -> None:
    listed = [{"uri": "a://x"}, 5, {"name": "no uri"}, {"uri": ""}, {"uri": "a\nb"}, {"uri": "a://x"}]

    tools, dropped = resource_tools([raw(one) for one in listed])

    assert list(tools) == ["read_resource_a_x"]
    assert [name for name, _ in dropped] == ["#2", "#3", "#4", "#5", "a://x"]


def test_more_resources_than_a_list_of_tools_bears_are_left_out() -> None:
    tools, dropped = resource_tools([raw({"uri": f"a://{number}"}) for number in range(MAX_RESOURCES + 2)])

    assert len(tools) == MAX_RESOURCES
    assert len(dropped) == 2


def test_no_tool_of_a_server_can_pass_for_a_resource() -> None:
    forged = {"name": "a", "inputSchema": {"type": "object"}, "_meta": {MARK: "file:///etc/passwd", "kept": 1}}

    (tool,), _ = sort_out((raw(forged),), Era.MODERN)

    assert resource_uri(tool.definition) is None
    assert json.loads(tool.definition) == {**forged, "_meta": {"kept": 1}}


READ: dict[str, tuple[Any, Any]] = {
    "text": ({"contents": [{"uri": "a:", "text": "x"}]}, {"content": [{"type": "text", "text": "x"}]}),
    "nothing": ({"contents": []}, {"content": []}),
    "an image": (
        {"contents": [{"uri": "a:", "blob": "AA==", "mimeType": "image/png"}]},
        {"content": [{"type": "image", "data": "AA==", "mimeType": "image/png"}]},
    ),
    "sound": (
        {"contents": [{"uri": "a:", "blob": "AA==", "mimeType": "audio/wav"}]},
        {"content": [{"type": "audio", "data": "AA==", "mimeType": "audio/wav"}]},
    ),
    "other bytes": (
        {"contents": [{"uri": "a:", "blob": "AA==", "mimeType": "application/pdf"}]},
        {"content": [{"type": "resource", "resource": {"uri": "a:", "blob": "AA==", "mimeType": "application/pdf"}}]},
    ),
    "several, of a modern server": (
        {"resultType": "complete", "ttlMs": 5, "contents": [{"text": "x"}, {"text": "y"}], "_meta": {"k": 1}},
        {"content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}], "_meta": {"k": 1}},
    ),
    "a question": ({"resultType": "input_required"}, {"resultType": "input_required"}),
    "no contents": ({}, None),
    "contents of no kind": ({"contents": [{"uri": "a:"}]}, None),
}


@pytest.mark.parametrize("case", READ)
def test_what_a_resource_holds_becomes_the_result_of_a_tool(case: str) -> None:
    given_, expected = READ[case]

    made = tool_result({name: raw(value) for name, value in given_.items()})

    assert (made if made is None else json.loads(msgspec.json.encode(made))) == expected


def test_a_call_becomes_a_read_of_the_uri_with_the_callers_meta() -> None:
    params = {"name": raw("x"), "arguments": raw({"uri": "b:"}), "_meta": raw({"traceparent": "t"})}

    assert {key: json.loads(bytes(value)) for key, value in read_params(params, "a:").items()} == {
        "uri": "a:",
        "_meta": {"traceparent": "t"},
    }


def lists(value: object) -> Reply:
    async def reply(request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return error(message, value) if isinstance(value, int) else result(message, value)

    return reply


RESOURCES = {"resources": [{"uri": "a://x", "name": "X"}]}
OFFERS: dict[str, tuple[dict[str, Any], dict[str, object], list[str]]] = {
    "no tools declared": ({"resources": {}}, {"resources/list": RESOURCES}, ["read_resource_a_x"]),
    "an empty list": ({"tools": {}, "resources": {}}, {"tools/list": {"tools": []}, "resources/list": RESOURCES}, ["read_resource_a_x"]),
    "a list that does not exist": ({"tools": {}, "resources": {}}, {"tools/list": -32601, "resources/list": RESOURCES}, ["read_resource_a_x"]),
    "tools beside resources": ({"tools": {}, "resources": {}}, {"tools/list": {"tools": [{"name": "own"}]}}, ["own"]),
    "unusable tools only": ({"tools": {}, "resources": {}}, {"tools/list": {"tools": [5]}}, []),
    "resources that do not exist": ({"resources": {}}, {"resources/list": -32601}, []),
}  # fmt: skip


@pytest.mark.parametrize("case", OFFERS)
async def test_a_server_is_asked_for_resources_where_it_has_no_tools(client: HttpClient, http: Http, case: str) -> None:
    capabilities, answers, expected = OFFERS[case]
    replies = {"server/discover": lists({"supportedVersions": ["2026-07-28"], "capabilities": capabilities})}
    server = RecordingServer(modern=True, replies=replies | {method: lists(value) for method, value in answers.items()})

    found = await discover(Upstream(client, await http(server), IDENTITY), {})

    assert [tool.name for tool in found.tools] == expected
    assert set(server.count()) == {"server/discover", *answers}
    assert set(itertools.chain(server.count().values())) == {1}
