"""Session ids: sealed, bound, and useless to anybody else."""

from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_gateway.session import MAX_LENGTH, Seal, Session, session_key

NOW = 1_790_000_000.0
KEY = session_key(b"k" * 32)
SESSION = Session("dev.tools", "d" * 32, "2025-11-25", int(NOW), "nonce")


def test_an_id_opens_to_what_was_sealed_and_is_visible_ascii() -> None:
    text = Seal(KEY).seal(SESSION)
    assert Seal(KEY).open(text, NOW) == SESSION
    assert all(0x21 <= ord(character) <= 0x7E for character in text)
    assert len(text) <= MAX_LENGTH


def test_the_longest_names_still_fit() -> None:
    longest = msgspec.structs.replace(SESSION, gateway=f"{'n' * 63}.{'g' * 50}")
    assert Seal(KEY).open(Seal(KEY).seal(longest), NOW) == longest


@pytest.mark.requirement("GW-3")
def test_one_changed_character_anywhere_makes_it_no_id() -> None:
    text = Seal(KEY).seal(SESSION)
    for position, character in product(range(len(text)), "A0_"):
        forged = text[:position] + character + text[position + 1 :]
        if forged != text:
            opened = Seal(KEY).open(forged, NOW)
            assert opened is None


@pytest.mark.requirement("GW-3")
def test_another_key_opens_nothing() -> None:
    assert Seal(session_key(b"x" * 32)).open(Seal(KEY).seal(SESSION), NOW) is None


def test_an_id_from_the_future_is_none() -> None:
    text = Seal(KEY).seal(SESSION)
    assert Seal(KEY).open(text, NOW - 200) is not None
    assert Seal(KEY).open(text, NOW - 400) is None


def test_the_key_is_in_no_repr() -> None:
    assert "k" * 8 not in repr(Seal(b"k" * 32))


@given(st.text(max_size=2000))
def test_no_text_breaks_it(text: str) -> None:
    assert Seal(KEY).open(text, NOW) is None
