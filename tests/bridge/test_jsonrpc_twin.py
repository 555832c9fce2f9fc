"""The bridge runs in foreign images and repeats of the wire's JSON-RPC what it needs: both say the same."""

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_bridge import jsonrpc as bridge
from wharfinger_mcp import jsonrpc as wire

IDS = st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=9)
DATA = st.none() | st.dictionaries(st.text(max_size=9), st.integers(-9, 9) | st.booleans() | st.text(max_size=9), max_size=3)


def codes(module: ModuleType) -> dict[str, int]:
    """Return the JSON-RPC error codes of a module: its negative constants."""
    return {name: value for name, value in vars(module).items() if name.isupper() and isinstance(value, int) and value < 0}


def test_both_know_the_same_error_codes() -> None:
    assert codes(bridge) == codes(wire)
    assert len(codes(bridge)) > 5


@pytest.mark.parametrize("data", [None, {"supported": ["2026-07-28"]}, [], 0], ids=str)
@pytest.mark.parametrize("id_", [None, 0, 7, "a"], ids=str)
def test_both_write_an_error_byte_for_byte_alike(id_: int | str | None, data: Any) -> None:
    assert bridge.error_body(-32602, "params must be an object", id_, data) == wire.error_bytes(
        id_, -32602, "params must be an object", data
    )


@given(id_=IDS, code=st.integers(-(2**31), 2**31), message=st.text(max_size=20), data=DATA)
def test_both_write_the_same_error(id_: int | str | None, code: int, message: str, data: Any) -> None:
    assert json.loads(bridge.error_body(code, message, id_, data)) == json.loads(wire.error_bytes(id_, code, message, data))
