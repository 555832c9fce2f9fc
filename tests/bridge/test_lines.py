"""Lines out of chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_bridge.lines import LineSplitter, Oversized


@given(st.lists(st.binary(max_size=12).map(lambda part: part.replace(b"\n", b"")), max_size=6), st.integers(1, 20))
def test_lines_are_the_same_however_they_arrive(lines: list[bytes], step: int) -> None:
    stream = b"".join(line + b"\n" for line in lines) + b"rest"
    splitter = LineSplitter(limit=12)
    chunks = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert [line for chunk in chunks for line in splitter.feed(chunk)] == lines


@pytest.mark.parametrize("step", [1, 7, 1000, 100_000])
def test_a_line_over_the_limit_keeps_its_two_ends_and_disturbs_no_other(step: int) -> None:
    stream = b"before\n" + b"a" * 20_000 + b"z" * 200 + b"\nafter\n"
    splitter = LineSplitter(limit=10_000)
    lines = [line for at in range(0, len(stream), step) for line in splitter.feed(stream[at : at + step])]
    assert lines == [b"before", Oversized(20_200, b"a" * 128, b"z" * 128), b"after"]


@pytest.mark.parametrize(
    ("start", "end", "id_"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{"a":"', b'"}}', 7),
        (b'{"jsonrpc": "2.0", "id": 7, "result": {', b"}}", 7),
        (b'{"result":{"a":"x', b'y"},"jsonrpc":"2.0","id":7}', 7),
        (b'{"result":{"a":"x', b'y"},"jsonrpc":"2.0", "id": 7}\r', 7),
        (b'{"jsonrpc":"2.0","id":"7","result":{', b"}}", None),
        (b'{"jsonrpc":"2.0","result":{"id":7,', b'"}}', None),
        (b"xxxxx", b'{"id":7}xxx', None),
    ],
)
def test_an_oversized_answer_still_names_its_request_where_it_can(start: bytes, end: bytes, id_: int | None) -> None:
    assert Oversized(10**8, start, end).request_id() == id_
