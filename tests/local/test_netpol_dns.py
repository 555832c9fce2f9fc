"""DNS messages as the policy engine's proxy reads them."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cluster.netpol import dns

QUERY = dns.query("Allowed.Test")
ALIAS = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 5, 8) + b"\x05other\xc0\x14"
ADDRESS = b"\xc0\x2a" + struct.pack("!HHIH", 1, 1, 30, 4) + bytes([198, 51, 100, 10])
RESPONSE = QUERY[:2] + b"\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00" + QUERY[12:] + ALIAS + ADDRESS


def test_a_query_is_for_its_name_in_lower_case() -> None:
    assert dns.question(QUERY) == dns.Question("allowed.test", len(QUERY))


def test_addresses_at_the_end_of_aliases_count() -> None:
    assert dns.addresses(RESPONSE) == (("198.51.100.10", 30),)


def test_a_refusal_repeats_the_question_and_has_no_answer() -> None:
    refused = dns.refusal(QUERY)

    assert refused[:2] == QUERY[:2]
    assert refused[3] & 0x0F == 5
    assert dns.question(refused).name == "allowed.test"
    assert dns.addresses(refused) == ()


@pytest.mark.parametrize("message", [b"", QUERY[:-3], RESPONSE[:-2], QUERY[:12] + b"\xc0\x0c" + QUERY[-4:]])
def test_a_cut_off_or_endless_message_is_an_error(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|no end|cannot be read"):
        dns.addresses(message)


@given(st.binary(max_size=200), st.integers(0, len(RESPONSE)))
def test_no_bytes_lead_to_anything_but_an_answer_or_an_error(noise: bytes, cut: int) -> None:
    for message in (noise, RESPONSE[:cut] + noise):
        with contextlib.suppress(ValueError):
            dns.addresses(message)
