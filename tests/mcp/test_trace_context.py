"""Trace contexts in headers and `_meta`: what counts, what is written, and that nothing malformed does harm."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from multidict import CIMultiDict

from wharfinger_mcp.trace_context import TraceContext, carried, from_fields, from_meta, trace_context

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        (PARENT, TraceContext(TRACE, SPAN, "01")),
        (f"00-{TRACE}-{SPAN}-00", TraceContext(TRACE, SPAN, "00")),
        (f" {PARENT}\t", TraceContext(TRACE, SPAN, "01")),
        (f"cc-{TRACE}-{SPAN}-01-what-a-later-version-adds", TraceContext(TRACE, SPAN, "01")),
        (f"00-{TRACE}-{SPAN}-ff", TraceContext(TRACE, SPAN, "03")),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (PARENT.upper(), None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"00-{TRACE}-{SPAN}-1", None),
        (f"00-{TRACE}-{SPAN}-01\n", None),
        (f"00-{TRACE[:-1]}g-{SPAN}-01", None),
        (f"cc-{TRACE}-{SPAN}-01-" + "x" * 10_000, None),
        ("", None),
    ],
)
def test_a_context_is_what_the_specification_says_and_nothing_else(parent: str, expected: TraceContext | None) -> None:
    assert trace_context([parent], []) == expected
    assert from_fields(CIMultiDict({"TraceParent": parent})) == expected
    assert from_meta(Raw(json.dumps({"traceparent": parent}).encode())) == expected


def test_two_parents_are_none() -> None:
    assert from_fields(CIMultiDict([("traceparent", PARENT), ("Traceparent", PARENT)])) is None


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        (["a=1"], "a=1"),
        (["a=1", "b=2"], "a=1,b=2"),
        ([], ""),
        (["x" * 513], ""),
        (["a=1\r\nX: y"], ""),
        (["a=é"], ""),
        ([" , "], ""),
    ],
)
def test_a_state_that_cannot_go_on_is_dropped_and_the_context_stays(states: list[str], kept: str) -> None:
    fields = CIMultiDict([("traceparent", PARENT), *(("tracestate", one) for one in states)])
    assert from_fields(fields) == TraceContext(TRACE, SPAN, "01", kept)


@pytest.mark.parametrize("meta", [{}, {"traceparent": 7}, {"traceparent": None}, {"traceparent": [PARENT]}, {"x": "traceparent"}, []])
def test_a_meta_without_a_context_has_none(meta: Any) -> None:
    assert from_meta(Raw(json.dumps(meta).encode())) is None


def test_a_meta_may_have_a_state_of_any_type() -> None:
    for state, kept in (("a=1", "a=1"), (7, ""), (None, "")):
        assert from_meta(Raw(json.dumps({"traceparent": PARENT, "tracestate": state}).encode())) == TraceContext(TRACE, SPAN, "01", kept)


@given(st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True), st.lists(st.text(), max_size=3))
def test_whatever_comes_what_is_written_is_a_context_of_version_0_in_visible_ascii(parent: str, states: list[str]) -> None:
    found = trace_context([parent], states)
    if found is not None:
        members = found.members()
        assert trace_context([members["traceparent"]], [members.get("tracestate", "")]) == found
        assert all((text.isascii() and text.isprintable()) or "\t" in text for text in members.values())


@pytest.mark.parametrize(
    ("context", "baggage", "expected"),
    [
        (None, False, {"x/y": [1.0]}),
        (None, True, {"x/y": [1.0], "baggage": "a=1"}),
        (TraceContext(TRACE, SPAN), False, {"x/y": [1.0], "traceparent": PARENT}),
        (TraceContext(TRACE, SPAN, "01", "b=2"), True, {"x/y": [1.0], "baggage": "a=1", "traceparent": PARENT, "tracestate": "b=2"}),
    ],
)
def test_what_goes_on_is_our_context_in_place_of_the_one_that_came(
    context: TraceContext | None, baggage: bool, expected: dict[str, Any]
) -> None:
    came = {"traceparent": Raw(b'"old"'), "tracestate": Raw(b'"old"'), "baggage": Raw(b'"a=1"'), "x/y": Raw(b"[1.0]")}
    assert {name: json.loads(bytes(value)) for name, value in carried(came, context, baggage=baggage).items()} == expected
