"""Server-sent events, however they are cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_mcp.sse import Event, EventStream, EventTooLargeError

STREAMS: dict[str, tuple[bytes, list[Event]]] = {
    "one event": (b"data: a\n\n", [Event(b"a")]),
    "carriage returns and line feeds": (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [Event(b"a"), Event(b"b"), Event(b"c")]),
    "fields that end in carriage return and line feed": (b"event: x\r\nid: 1\r\ndata: a\r\ndata: b\r\n\r\n", [Event(b"a\nb", "x", "1")]),
    "several data lines are one text": (b"data: a\ndata:b\ndata\ndata:  c\n\n", [Event(b"a\nb\n\n c")]),
    "a type and an id": (b"event: message\nid: 7\ndata: a\n\ndata: b\n\n", [Event(b"a", "message", "7"), Event(b"b", "message", "7")]),
    "another type": (b"event: endpoint\ndata: /x\n\n", [Event(b"/x", "endpoint")]),
    "comments and unknown fields": (b": ping\n\nfoo: bar\nbaz\ndata: a\n:\n\n", [Event(b"a")]),
    "a priming event has an id and empty data": (b"id: 1\ndata:\n\n", [Event(b"", id="1")]),
    "no data is no event": (b"event: x\nid: 1\n\n\n\n", []),
    "an unfinished event is none": (b"data: a\n", []),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),
    "an id with NUL is none": (b"id: a\0b\ndata: a\n\n", [Event(b"a")]),
}


@pytest.mark.parametrize("case", STREAMS)
def test_a_stream_is_read_as_the_standard_has_it(case: str) -> None:
    stream, events = STREAMS[case]
    assert EventStream(1000).feed(stream) == events


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(0, 60), max_size=6))
def test_a_stream_says_the_same_wherever_it_is_cut(case: str, cuts: list[int]) -> None:
    stream, events = STREAMS[case]
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parser = EventStream(1000)
    assert [event for start, end in itertools.pairwise(edges) for event in parser.feed(stream[start:end])] == events


@pytest.mark.parametrize("case", STREAMS)
def test_a_stream_says_the_same_byte_by_byte(case: str) -> None:
    stream, events = STREAMS[case]
    parser = EventStream(1000)
    assert [event for byte in stream for event in parser.feed(bytes((byte,)))] == events


@given(st.binary(), st.binary())
def test_any_bytes_are_read_without_an_exception(first: bytes, second: bytes) -> None:
    parser = EventStream(10_000)
    parser.feed(first)
    parser.feed(second)


def test_an_event_larger_than_the_bound_is_refused_before_it_is_whole() -> None:
    for endless in (b"data: aaaa\n", b"data: aaaa", b"aaaaaaaaaa"):
        parser = EventStream(100)
        with pytest.raises(EventTooLargeError):
            for _ in range(50):
                parser.feed(endless)


def test_many_events_and_comments_do_not_add_up_to_the_bound() -> None:
    parser = EventStream(100)
    for _ in range(50):
        assert parser.feed(b": keep alive\n\n: and on\ndata: aaaaaaaaaa\n\n") == [Event(b"aaaaaaaaaa")]
    for _ in range(50):
        assert parser.feed(b": keep alive\n") == []


def test_the_time_to_come_back_after_is_kept() -> None:
    parser = EventStream(100)
    parser.feed(b"retry: 1500\nretry: soon\nretry: -1\n\n")
    assert parser.retry_ms == 1500
