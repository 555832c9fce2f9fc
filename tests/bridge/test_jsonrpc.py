"""What an HTTP body asks for."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_bridge.jsonrpc import Notification, Refusal, Request, decode, encode, error_body, read_message


def body(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0"} | members).encode()


@pytest.mark.parametrize(
    ("data", "status", "code", "id_"),
    [
        (b"", 400, -32700, None),
        (b"{", 400, -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"} x', 400, -32700, None),
        ("{}".encode("utf-16"), 400, -32700, None),
        (b'\xef\xbb\xbf{"jsonrpc":"2.0"}', 400, -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', 400, -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"x":NaN}}', 400, -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + b"[" * 100_000, 400, -32700, None),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"x"}', 400, -32700, None),
        (b"[]", 400, -32600, None),
        (b"[" + body(id=1, method="ping") + b"]", 400, -32600, None),
        (b'"x"', 400, -32600, None),
        (b'{"id":1,"method":"ping"}', 400, -32600, None),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', 400, -32600, None),
        (body(id=None, method="ping"), 400, -32600, None),
        (body(id=True, method="ping"), 400, -32600, None),
        (body(id=1.5, method="ping"), 400, -32600, None),
        (body(id=[1], method="ping"), 400, -32600, None),
        (body(id=4), 400, -32600, 4),
        (body(id="a", method=5), 400, -32600, "a"),
        (body(id=4, result={}, error={}), 400, -32600, 4),
        (body(result={}), 400, -32600, None),
        (body(id=None, result={}), 400, -32600, None),
        (body(id=4, method="x", params=[1]), 400, -32602, 4),
        (body(id=4, method="x", params=None), 400, -32602, 4),
    ],
)
def test_a_body_that_asks_for_nothing_is_refused(data: bytes, status: int, code: int, id_: object) -> None:
    refusal = read_message(data)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code, refusal.id) == (status, code, id_)


def test_requests_and_notifications_are_told_apart_by_their_id() -> None:
    assert read_message(body(method="x")) == Notification("x", {})
    request = read_message(body(id=0, method="x", params={"a": 1}, extra=2))
    assert request == Request(0, "x", {"a": 1}, {"jsonrpc": "2.0", "id": 0, "method": "x", "params": {"a": 1}, "extra": 2})


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail(data: bytes) -> None:
    assert isinstance(read_message(data), Request | Notification | Refusal)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(_VALUES)
def test_every_value_survives_on_one_line_of_ascii(value: Any) -> None:
    line = encode(value)
    assert b"\n" not in line and line.isascii()
    assert decode(line) == value


def test_a_number_without_a_json_form_is_refused_rather_than_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(decode(b"1e999"))


def test_an_error_body_has_data_only_when_there_is_some() -> None:
    assert json.loads(error_body(-1, "m", None)) == {"jsonrpc": "2.0", "id": None, "error": {"code": -1, "message": "m"}}
    assert json.loads(error_body(-1, "m", "a", [1]))["error"]["data"] == [1]
