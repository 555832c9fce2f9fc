"""Whatever comes over the wire, from either side, a parser gives a value of its own, and no exception."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from any_json import BODIES, FIELDS, PARAMS, TEXTS, VALUES
from wharfinger_mcp import header, jsonrpc
from wharfinger_mcp.envelope import (
    CAPABILITIES_KEY,
    CLIENT_INFO_KEY,
    LOG_LEVEL_KEY,
    VERSION_KEY,
    Identity,
    legacy_params,
    modern_headers,
    modern_params,
)
from wharfinger_mcp.jsonrpc import Malformed, Params, Response
from wharfinger_mcp.media_type import accepts, essence, reject_media
from wharfinger_mcp.param_header import InvalidAnnotation, headers_for, param_headers, param_mismatch
from wharfinger_mcp.resource_tool import tool_result
from wharfinger_mcp.revision import ERROR_STATUS, Legacy, Modern, Rejection, classify, routing
from wharfinger_mcp.sse import EventStream, EventTooLargeError
from wharfinger_mcp.trace_context import from_fields

IDENTITY = Identity("wharfinger", "1")
OURS = (VERSION_KEY, CLIENT_INFO_KEY, CAPABILITIES_KEY, LOG_LEVEL_KEY)


def raw(members: dict[str, Any]) -> Params:
    return {name: jsonrpc.raw_json(value) for name, value in members.items()}


@given(FIELDS, BODIES)
def test_a_post_is_served_by_one_era_or_rejected_with_a_status_of_the_table(fields: CIMultiDict[str], body: bytes) -> None:
    served = classify(routing(fields), jsonrpc.parse(body))
    assert isinstance(served, Legacy | Modern | Rejection)
    if isinstance(served, Rejection):
        assert served.status == ERROR_STATUS[served.code]
        assert served.message
        assert len(served.message) < 2000


@given(FIELDS, st.text())
def test_media_types_and_traces_are_read_or_not(fields: CIMultiDict[str], text: str) -> None:
    fields.add("Content-Type", text)
    fields.add("traceparent", text)
    accepts(fields, text)
    rejected = reject_media(fields)
    assert rejected is None or rejected.status in (406, 415)
    assert essence(text) == essence(essence(text))
    from_fields(fields)


@given(st.text(alphabet="=?base64YQ/+ \t\0\u00e9\U0001f600", max_size=40) | st.text())
def test_a_header_value_stands_for_a_text_or_for_nothing(text: str) -> None:
    decoded = header.decode_value(text)
    assert decoded is None or header.decode_value(header.encode_value(decoded)) == decoded


SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    VALUES,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "boolean", "number", "object"]) | VALUES,
            "x-mcp-header": st.sampled_from(["Region", "region", "", "a b"]) | VALUES,
            "properties": st.dictionaries(TEXTS, inner, max_size=3) | VALUES,
            "items": inner,
            "oneOf": st.lists(inner, max_size=2) | VALUES,
            "$defs": st.dictionaries(TEXTS, inner, max_size=2),
        },
    ),
    max_leaves=8,
)


@given(SCHEMAS, VALUES, FIELDS)
def test_annotations_of_a_schema_are_headers_or_a_reason(schema: Any, arguments: Any, fields: CIMultiDict[str]) -> None:
    found = param_headers(schema)
    if isinstance(found, InvalidAnnotation):
        assert found.reason
        return
    param_mismatch(found, arguments, fields)
    sent = headers_for(found, arguments)
    assert all(header.is_field_value(value) for value in sent.values())
    assert param_mismatch(found, arguments, CIMultiDict(sent)) is None


@given(PARAMS)
def test_what_is_said_beside_params_replaces_nothing_else(members: dict[str, Any]) -> None:
    params = raw(members)
    modern = modern_params(params, "2026-07-28", IDENTITY)
    assert {name: bytes(value) for name, value in modern.items() if name != "_meta"} == {
        name: bytes(value) for name, value in params.items() if name != "_meta"
    }
    for method in ("tools/call", "resources/read", "tools/list"):
        assert all(header.is_field_value(value) for value in modern_headers("2026-07-28", method, params).values())
    back = legacy_params(modern)
    left = jsonrpc.members(back["_meta"]) if "_meta" in back else None
    assert not any(key in (left or {}) for key in OURS)


@given(BODIES)
def test_the_members_of_anything_are_read_or_not(body: bytes) -> None:
    jsonrpc.members(body)
    message = jsonrpc.parse(body)
    if isinstance(message, Malformed):
        assert message.message
    if isinstance(message, Response) and message.result is not None:
        tool_result(message.result)
        for name in message.result:
            jsonrpc.text_member(message.result, name)
            jsonrpc.id_member(message.result, name)


@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"data: {}", b"\n", b"\r", b"\n\n", b"id: \0", b"retry: 9", b":", b"\xff"])))
@example([b"data: x", b"\r", b"\n", b"\r\n"])
def test_pieces_of_a_stream_make_the_same_events_as_the_whole_or_are_too_large(pieces: list[bytes]) -> None:
    def events(fed: list[bytes]) -> object:
        stream = EventStream(64)
        try:
            return [event for piece in fed for event in stream.feed(piece)]
        except EventTooLargeError:
            return "too large"

    whole = b"".join(pieces)
    if len(whole) <= 64:
        assert events(pieces) == events([whole])
    else:
        events(pieces)


@pytest.mark.parametrize("depth", [10, 1_000, 100_000])
@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_no_depth_of_nesting_overflows_a_parser(depth: int, bracket: bytes) -> None:
    nested = bracket * depth
    jsonrpc.parse(nested)
    jsonrpc.members(nested)
    jsonrpc.parse(b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":' + nested + b"}}")
    tool_result({"contents": msgspec.Raw(nested)})
