"""What a server said of itself, and what is told to others."""

from typing import Any

import pytest

from wharfinger_bridge.era import Era
from wharfinger_bridge.jsonrpc import Request
from wharfinger_bridge.translate import (
    Server,
    caller_result,
    discover_result,
    discovered_server,
    initialize_result,
    initialized_server,
    server_message,
)

LEGACY = Server(Era.LEGACY, "2025-11-25", {"name": "s"}, {}, None)
MODERN = Server(Era.MODERN, "2026-07-28", {"name": "s"}, {}, None)


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        "x",
        {},
        {"protocolVersion": None},
        {"protocolVersion": ["2025-11-25"]},
        {"protocolVersion": "2026-07-28"},
        {"supportedVersions": "2026-07-28"},
        {"supportedVersions": ["2025-11-25"]},
    ],
)
def test_a_result_that_names_no_version_of_its_era_is_no_handshake(result: Any) -> None:
    assert initialized_server(result) is None
    assert discovered_server(result) is None


@pytest.mark.parametrize("odd", [{"serverInfo": 1, "capabilities": [], "instructions": {}, "_meta": []}, {}])
def test_odd_members_of_a_handshake_are_left_out(odd: dict[str, Any]) -> None:
    unknown = {"name": "unknown", "version": "unknown"}
    assert initialized_server({"protocolVersion": "2024-11-05"} | odd) == Server(Era.LEGACY, "2024-11-05", unknown, {}, None)
    assert discovered_server({"supportedVersions": ["2026-07-28"]} | odd) == Server(Era.MODERN, "2026-07-28", unknown, {}, None)


def test_capabilities_are_those_that_work_through_the_bridge() -> None:
    told = {
        "logging": {},
        "tools": {"listChanged": True, "x": 1},
        "resources": {"subscribe": True, "listChanged": True},
        "prompts": None,
        "completions": {},
        "extensions": {"e": {}},
    }
    server = initialized_server({"protocolVersion": "2025-11-25", "capabilities": told})
    assert server is not None
    assert initialize_result({}, server, is_own=True)["capabilities"] == told
    assert (
        initialize_result({}, server)["capabilities"]
        == discover_result(server)["capabilities"]
        == {
            "tools": {"listChanged": True, "x": 1},
            "resources": {"listChanged": True},
            "prompts": {},
            "completions": {},
            "extensions": {"e": {}},
        }
    )


@pytest.mark.parametrize(
    ("caller", "server", "meta", "sent"),
    [
        (Era.LEGACY, LEGACY, None, None),
        (Era.LEGACY, LEGACY, {"progressToken": 1}, None),
        (
            Era.LEGACY,
            LEGACY,
            {"progressToken": 1, "io.modelcontextprotocol/related-task": {}},
            {"io.modelcontextprotocol/related-task": {}},
        ),
        (Era.MODERN, LEGACY, {"io.modelcontextprotocol/protocolVersion": "v", "io.modelcontextprotocol/x": 1}, None),
        (Era.MODERN, LEGACY, {"io.modelcontextprotocol/protocolVersion": "v", "mine": 1}, {"mine": 1}),
        (
            Era.MODERN,
            MODERN,
            {"io.modelcontextprotocol/protocolVersion": "v", "io.modelcontextprotocol/logLevel": "info", "progressToken": 1},
            {"io.modelcontextprotocol/protocolVersion": "v"},
        ),
    ],
)
def test_meta_is_changed_only_where_eras_or_single_answers_ask_for_it(caller: Era, server: Server, meta: Any, sent: Any) -> None:
    params = {"a": 1} | ({} if meta is None else {"_meta": meta})
    message = {"method": "m", "params": params, "extra": 2}
    before = repr(message)
    result = server_message(Request(1, "m", params, message), caller, server)
    assert result == {"method": "m", "params": {"a": 1} | ({} if sent is None else {"_meta": sent}), "extra": 2}
    assert repr(message) == before


def test_a_request_without_params_stays_without() -> None:
    assert server_message(Request(1, "m", {}, {"method": "m"}), Era.LEGACY, LEGACY) == {"method": "m"}


@pytest.mark.parametrize("result", [{"resultType": "task", "ttlMs": 5, "_meta": {"k": 1}}])
def test_what_a_server_says_wins_over_what_is_added(result: dict[str, Any]) -> None:
    added = caller_result("tools/list", result, Era.MODERN, LEGACY)
    assert added == {
        "resultType": "task",
        "ttlMs": 5,
        "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "s"}, "k": 1},
    }
    for caller, server in ((Era.LEGACY, LEGACY), (Era.LEGACY, MODERN), (Era.MODERN, MODERN)):
        assert caller_result("tools/list", result, caller, server) is result


def test_instructions_are_told_only_where_there_are_some() -> None:
    assert "instructions" not in initialize_result({}, LEGACY)
