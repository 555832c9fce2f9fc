"""How a name is written into a header, against the official SDK's codec."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mcp.shared import inbound

from wharfinger_mcp.header import decode_value, encode_value, is_field_value

SPECIFIED = {
    "us-west1": "us-west1",
    "Hello, 世界": "=?base64?SGVsbG8sIOS4lueVjA==?=",
    " padded ": "=?base64?IHBhZGRlZCA=?=",
    "line1\nline2": "=?base64?bGluZTEKbGluZTI=?=",
    "=?base64?literal?=": "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=",
}
texts = st.text(st.sampled_from("aB9 =?/\t\r\n\0\x7f\u00e9\u2028\U0001f600"), max_size=12)


@pytest.mark.parametrize("value", SPECIFIED)
def test_values_are_encoded_as_the_specification_shows(value: str) -> None:
    assert encode_value(value) == SPECIFIED[value]
    assert decode_value(SPECIFIED[value]) == value


@given(texts)
@example("=?base64?=")
def test_a_value_survives_a_header_and_is_read_alike_by_the_sdk(value: str) -> None:
    encoded = encode_value(value)
    assert is_field_value(encoded)
    assert "\t" not in encoded
    assert decode_value(encoded) == value
    assert inbound.decode_header_value(encoded) == value
    assert decode_value(inbound.encode_header_value(value)) == value


@pytest.mark.parametrize(
    "broken", ["=?base64?a?=", "=?base64?YQ?=", "=?base64?YR==?=", "=?base64?/w==?=", "=?base64?Y Q==?=", "=?base64?ü?="]
)
def test_a_broken_sentinel_stands_for_nothing(broken: str) -> None:
    assert decode_value(broken) is None


def test_a_sentinel_in_another_case_is_plain_text() -> None:
    assert decode_value("=?BASE64?YQ==?=") == "=?BASE64?YQ==?="
