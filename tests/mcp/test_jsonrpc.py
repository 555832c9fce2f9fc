"""Bytes to messages and back: each row of the tables names the rule it shows."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import Batch, ErrorObject, Malformed, Notification, Request, Response, parse

MALFORMED: dict[str, tuple[bytes, int, str | int | None]] = {
    "an empty body is no JSON": (b"", -32700, None),
    "cut JSON is no JSON": (b'{"jsonrpc":"2.0","id":1', -32700, None),
    "text after the message is no JSON": (b'{"jsonrpc":"2.0","id":1,"method":"m"} x', -32700, None),
    "a byte order mark is no JSON": (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"m"}', -32700, None),
    "a body that is not UTF-8, even inside params": (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"\xff"}}', -32700, None),
    "a lone surrogate is no JSON text": (b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', -32700, None),
    "broken JSON inside raw params": (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":tru}}', -32700, None),
    "a number is no message": (b"5", -32600, None),
    "an object without members is no message": (b"{}", -32600, None),
    "another version of JSON-RPC, id readable": (b'{"jsonrpc":"1.0","id":7,"method":"m"}', -32600, 7),
    "no version, id readable": (b'{"id":"a","method":"m"}', -32600, "a"),
    "an id of null": (b'{"jsonrpc":"2.0","id":null,"method":"m"}', -32600, None),
    "an id of true": (b'{"jsonrpc":"2.0","id":true,"method":"m"}', -32600, None),
    "an id with a fraction": (b'{"jsonrpc":"2.0","id":1.0,"method":"m"}', -32600, None),
    "an id that is an object": (b'{"jsonrpc":"2.0","id":{},"method":"m"}', -32600, None),
    "an id that is a list": (b'{"jsonrpc":"2.0","id":[1],"method":"m"}', -32600, None),
    "an id of more than 64 bits": (b'{"jsonrpc":"2.0","id":18446744073709551616,"method":"m"}', -32600, None),
    "an id of 5000 digits": (b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"m"}', -32600, None),
    "an id of 257 characters": (b'{"jsonrpc":"2.0","id":"' + b"a" * 257 + b'","method":"m"}', -32600, None),
    "a method that is a number, id readable": (b'{"jsonrpc":"2.0","id":3,"method":4}', -32600, 3),
    "an empty method": (b'{"jsonrpc":"2.0","id":3,"method":""}', -32600, 3),
    "a method without end": (b'{"jsonrpc":"2.0","id":3,"method":"' + b"m" * 257 + b'"}', -32600, 3),
    "params that are a list": (b'{"jsonrpc":"2.0","id":3,"method":"m","params":[1]}', -32600, 3),
    "a method beside a result": (b'{"jsonrpc":"2.0","id":3,"method":"m","result":{}}', -32600, 3),
    "a result beside an error": (b'{"jsonrpc":"2.0","id":3,"result":{},"error":{"code":1,"message":"m"}}', -32600, 3),
    "a result without an id": (b'{"jsonrpc":"2.0","result":{}}', -32600, None),
    "an error without a code": (b'{"jsonrpc":"2.0","id":3,"error":{"message":"m"}}', -32600, 3),
    "a depth bomb in params": (
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        -32600,
        None,
    ),
    "a depth bomb never closed": (b'{"jsonrpc":"2.0","id":1,"params":' + b'{"a":' * 100_000, -32600, None),
    "a depth bomb of lists": (b"[" * 100_000, -32600, None),
    "a name that differs from a known one in case": (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}',
        -32600,
        1,
    ),
    "a name that differs by case folding": (
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"argument\u017f":{}}}'.encode(),
        -32600,
        1,
    ),
    "an empty batch": (b"[]", -32600, None),
    "a batch of more than 50": (b"[" + b",".join([b'{"jsonrpc":"2.0","method":"m"}'] * 51) + b"]", -32600, None),
    "one malformed message in a batch": (b'[{"jsonrpc":"2.0","method":"m"},{"jsonrpc":"2.0","id":null,"method":"m"}]', -32600, None),
    "a batch in a batch": (b'[[{"jsonrpc":"2.0","method":"m"}]]', -32600, None),
    "an id used twice in a batch": (b'[{"jsonrpc":"2.0","id":1,"method":"m"},{"jsonrpc":"2.0","id":1,"method":"n"}]', -32600, None),
}


@pytest.mark.parametrize("rule", MALFORMED)
def test_what_is_no_message_becomes_the_error_to_answer_with(rule: str) -> None:
    body, code, request_id = MALFORMED[rule]
    message = parse(body)
    assert isinstance(message, Malformed)
    assert (message.code, message.id) == (code, request_id)
    assert message.message
    assert len(message.message) < 300


MESSAGES: dict[str, tuple[bytes, Any]] = {
    "a request with an integer id": (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', Request(1, "ping")),
    "a request with a text id": (b'{"jsonrpc":"2.0","id":"1","method":"ping"}', Request("1", "ping")),
    "an empty text is an id": (b'{"jsonrpc":"2.0","id":"","method":"ping"}', Request("", "ping")),
    "zero is an id": (b'{"jsonrpc":"2.0","id":0,"method":"ping"}', Request(0, "ping")),
    "params of null are none": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":null}', Request(1, "ping")),
    "members in any order, blanks anywhere": (b' {"method" : "ping", "id":1 ,"jsonrpc":"2.0"}\n', Request(1, "ping")),
    "an escaped member name": (b'{"jsonrpc":"2.0","id":1,"\\u006dethod":"ping"}', Request(1, "ping")),
    "no id is a notification": (b'{"jsonrpc":"2.0","method":"n"}', Notification("n")),
    "unknown members of the envelope": (b'{"jsonrpc":"2.0","method":"n","x":{"y":[1]}}', Notification("n")),
    "a result": (b'{"jsonrpc":"2.0","id":1,"result":{"a": 1.0}}', Response(1, {"a": Raw(b"1.0")})),
    "an error of null beside a result": (b'{"jsonrpc":"2.0","id":1,"result":{},"error":null}', Response(1, {})),
    "an error for an unreadable id": (
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}',
        Response(None, error=ErrorObject(-32700, "m")),
    ),
    "an error without id, as modern servers refuse": (
        b'{"jsonrpc":"2.0","error":{"code":-32600,"message":"m"}}',
        Response(None, error=ErrorObject(-32600, "m")),
    ),
    "a batch": (
        b'[{"jsonrpc":"2.0","id":1,"method":"m"},{"jsonrpc":"2.0","method":"n"}]',
        Batch((Request(1, "m"), Notification("n"))),
    ),
}


@pytest.mark.parametrize("rule", MESSAGES)
def test_a_message_is_read(rule: str) -> None:
    body, expected = MESSAGES[rule]
    assert _plain(parse(body)) == _plain(expected)


def _plain(message: Any) -> Any:
    return msgspec.to_builtins(message, enc_hook=lambda raw: bytes(raw).decode()) | {"type": type(message).__name__}


texts = st.text(st.sampled_from('aN1 "\\/\0\n\r\x7f\x85\u00e9\u017f\u2028\U0001f600'), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
ids = st.integers(-(2**63), 2**64 - 1) | texts


@given(st.binary())
def test_any_bytes_are_parsed_without_an_exception(body: bytes) -> None:
    parse(body)


@given(
    st.fixed_dictionaries(
        {"jsonrpc": st.just("2.0")},
        optional={"id": json_values, "method": json_values, "params": json_values, "result": json_values, "error": json_values},
    )
)
def test_any_json_shaped_like_a_message_is_parsed_without_an_exception(message: dict[str, Any]) -> None:
    parse(json.dumps(message, ensure_ascii=False).encode())


@given(ids)
def test_an_id_keeps_type_and_value_from_request_to_answer(request_id: str | int) -> None:
    message = parse(json.dumps({"jsonrpc": "2.0", "id": request_id, "method": "m"}).encode())
    assert isinstance(message, Request)

    for answer in (
        jsonrpc.error_bytes(message.id, -32603, "m"),
        jsonrpc.response_bytes(message.id, Response(99, {})),
        jsonrpc.response_bytes(message.id, Response(99, error=ErrorObject(1))),
    ):
        given_back = json.loads(answer)["id"]
        assert (type(given_back), given_back) == (type(request_id), request_id)


@given(st.dictionaries(texts, json_values, max_size=5))
def test_params_leave_as_they_came(params: dict[str, Any]) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "m", "params": params}).encode()
    message = parse(body)
    assert isinstance(message, Request)
    assert json.loads(jsonrpc.request_bytes(1, "m", message.params))["params"] == params


@pytest.mark.requirement("GW-2")
def test_a_renamed_tool_call_differs_in_the_name_only() -> None:
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{ "x":1.0 },"name":"gh__a","arguments":'
        b'{"n": 1e400,"big":123456789012345678901234567890,"s":"\\u00e9","twice":1,"twice":2},"future":[ ]}}'
    )
    message = parse(body)
    assert isinstance(message, Request)

    renamed = jsonrpc.request_bytes(message.id, message.method, jsonrpc.renamed(message.params, "a"))

    assert renamed == body.replace(b'"gh__a"', b'"a"')


def test_a_member_given_twice_leaves_once_with_the_value_that_was_looked_at() -> None:
    message = parse(b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"denied","name":"allowed"}}')
    assert isinstance(message, Request)
    assert (message.method, jsonrpc.text_member(message.params, "name")) == ("tools/call", "allowed")

    sent = jsonrpc.request_bytes(message.id, message.method, message.params)

    assert sent == b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"allowed"}}'


def test_a_name_that_is_no_text_is_no_name() -> None:
    for name in (b"5", b"null", b'["a"]', b'{"a":1}'):
        message = parse(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":' + name + b"}}")
        assert isinstance(message, Request)
        assert jsonrpc.text_member(message.params, "name") is None


def test_an_error_keeps_its_data_byte_for_byte() -> None:
    response = parse(b'{"jsonrpc":"2.0","id":4,"error":{"code":-32042,"message":"m","data":{"elicitations":[ 1.0 ]}}}')
    assert isinstance(response, Response)
    assert jsonrpc.response_bytes("c", response) == (
        b'{"jsonrpc":"2.0","id":"c","error":{"code":-32042,"message":"m","data":{"elicitations":[ 1.0 ]}}}'
    )


def test_an_error_for_an_unreadable_id_has_an_id_of_null() -> None:
    assert json.loads(jsonrpc.error_bytes(None, -32700, "m", {"a": 1})) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32700, "message": "m", "data": {"a": 1}},
    }
