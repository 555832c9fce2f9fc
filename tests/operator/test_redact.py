"""No secret value leaves with a log."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_operator.redact import REDACTED, redacted

VALUE = 'p/lant"ed\\ v+äl?ue'


@pytest.mark.requirement("INS-9")
@pytest.mark.parametrize(
    "shown",
    [
        VALUE,
        f"Authorization: Bearer {VALUE}",
        json.dumps({"token": VALUE}),
        json.dumps({"token": VALUE}, ensure_ascii=False),
        repr({"token": VALUE}),
        f"https://api.invalid/?key={quote(VALUE, safe='')}&x=1",
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
    ],
)
def test_a_value_is_taken_out_in_each_form_that_programs_print(shown: str) -> None:
    text = redacted(f"before {shown} after", [VALUE])

    assert REDACTED in text
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "lant" not in text
    assert base64.b64encode(VALUE.encode()).decode()[:12] not in text


def test_a_value_that_contains_another_leaves_no_rest() -> None:
    assert redacted("token=planted-and-more.", ["planted", "planted-and-more"]) == f"token={REDACTED}."


def test_each_line_of_a_long_value_is_a_secret_of_its_own() -> None:
    key = "-----BEGIN KEY-----\nAAAABBBBCCCC\nDDDDEEEEFFFF\n-----END KEY-----\n"

    assert redacted("cut DDDDEEEEFFFF here", [key]) == f"cut {REDACTED} here"


def test_a_short_value_goes_where_it_stands_alone() -> None:
    assert redacted("pin 42, port 4242", ["42"]) == f"pin {REDACTED}, port 4242"


def test_an_empty_value_takes_nothing_out() -> None:
    assert redacted("text", ["", " ", "\n"]) == "text"


@given(st.lists(st.text(min_size=4, max_size=30), min_size=1, max_size=5), st.text(max_size=50), st.text(max_size=50))
def test_whatever_stands_around_it_no_value_is_left(values: list[str], before: str, after: str) -> None:
    secrets = [value for value in values if value.strip() and value not in REDACTED]
    text = redacted(before + "\x00".join(secrets) + after, secrets)

    assert not [value for value in secrets if value in text.replace(REDACTED, "")]
