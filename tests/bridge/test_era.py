"""Which era a caller speaks, and how it can contradict itself."""

from typing import Any

import pytest

from wharfinger_bridge.era import Era, caller_era
from wharfinger_bridge.jsonrpc import Notification, Refusal, Request

MODERN = "2026-07-28"
META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
HEADERS = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "x"}


def request(method: str = "tools/call", name: object = "x", meta: object = None) -> Request:
    params: dict[str, Any] = {"name": name} | ({} if meta is None else {"_meta": meta})
    return Request(1, method, params, {})


@pytest.mark.parametrize("version", [None, "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"])
def test_without_an_envelope_a_known_older_version_or_none_is_legacy(version: str | None) -> None:
    headers = {} if version is None else {"mcp-protocol-version": version}
    for meta in (None, {}, {"progressToken": 1}, "not an object"):
        assert caller_era(headers, request(meta=meta)) is Era.LEGACY


@pytest.mark.parametrize("name", ["x", "=?base64?eA==?="])
def test_a_whole_envelope_with_equal_headers_is_modern(name: str) -> None:
    assert caller_era(HEADERS | {"mcp-name": name}, request(meta=META)) is Era.MODERN


def test_a_notification_needs_no_envelope() -> None:
    assert caller_era({"mcp-protocol-version": MODERN}, Notification("x", {})) is Era.MODERN


@pytest.mark.parametrize(
    ("headers", "changed", "code"),
    [
        ({}, {"_meta": None}, -32602),
        ({}, {"_meta": {"io.modelcontextprotocol/protocolVersion": MODERN}}, -32602),
        ({"mcp-protocol-version": "1999-01-01"}, {"_meta": None}, -32602),
        ({"mcp-protocol-version": None}, {}, -32020),
        ({"mcp-protocol-version": "2025-11-25"}, {}, -32020),
        ({"mcp-method": None}, {}, -32020),
        ({"mcp-method": "Tools/call"}, {}, -32020),
        ({"mcp-name": None}, {}, -32020),
        ({"mcp-name": "y"}, {}, -32020),
        ({"mcp-name": "=?base64?eA?="}, {}, -32020),
        ({"mcp-name": "=?base64?/w==?="}, {}, -32020),
        ({"mcp-protocol-version": "2027-01-01"}, {"_meta": META | {"io.modelcontextprotocol/protocolVersion": "2027-01-01"}}, -32022),
        ({}, {"_meta": META | {"io.modelcontextprotocol/clientCapabilities": None}}, -32602),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(headers: dict[str, str | None], changed: dict[str, Any], code: int) -> None:
    given = {name: value for name, value in (HEADERS | headers).items() if value is not None}
    refusal = caller_era(given, request(meta=changed.get("_meta", META)))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.code, refusal.id) == (400, code, 1)


def test_an_unsupported_version_is_told_what_is_supported() -> None:
    refusal = caller_era(
        HEADERS | {"mcp-protocol-version": "2027-01-01"}, request(meta=META | {"io.modelcontextprotocol/protocolVersion": "2027-01-01"})
    )
    assert isinstance(refusal, Refusal)
    assert refusal.data == {"supported": [MODERN], "requested": "2027-01-01"}
