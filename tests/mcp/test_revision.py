"""Under which rules a POST is served: one row for each way through the ladder."""

import json
from typing import Any

import pytest
from multidict import CIMultiDict

from wharfinger_mcp import jsonrpc, revision
from wharfinger_mcp.revision import Legacy, Modern, Rejection, classify, routing

MODERN = "2026-07-28"
VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
META = {VERSION: MODERN, CAPABILITIES: {}}
UNKNOWN = {VERSION: "2099-01-01", CAPABILITIES: {}}

Fields = list[tuple[str, str]]


def request(method: str, meta: object = None, **params: object) -> dict[str, Any]:
    if meta is not None:
        params["_meta"] = meta
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def fields(version: str | None = MODERN, method: str | None = None, name: str | None = None) -> Fields:
    given = (("MCP-Protocol-Version", version), ("Mcp-Method", method), ("Mcp-Name", name))
    return [(field, value) for field, value in given if value is not None]


def outcome(headers: Fields, body: object) -> Legacy | Modern | Rejection:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify(routing(CIMultiDict(headers)), jsonrpc.parse(raw))


LIST = request("tools/list", META)
CALL = request("tools/call", META, name="grüß", arguments={})
INITIALIZE = request("initialize", protocolVersion="2025-11-25")
NOTIFICATION = {"jsonrpc": "2.0", "method": "notifications/initialized"}
RESPONSE = {"jsonrpc": "2.0", "id": 1, "result": {}}
ENCODED = "=?base64?Z3LDvMOf?="

LEGACY: dict[str, tuple[Fields, object, str | None]] = {
    "no version anywhere: the session's, or 2025-03-26": ([], request("tools/list"), None),
    "the newest legacy revision": (fields("2025-11-25"), request("tools/list"), "2025-11-25"),
    "2025-06-18": (fields("2025-06-18"), request("tools/list"), "2025-06-18"),
    "2025-03-26": (fields("2025-03-26"), request("tools/list"), "2025-03-26"),
    "blanks around a value do not count": (fields(" 2025-11-25\t"), request("tools/list"), "2025-11-25"),
    "initialize without a version header": ([], INITIALIZE, None),
    "initialize under a modern header but without modern _meta: a dual-era client falls back": (fields(), INITIALIZE, MODERN),
    "initialize under an unknown header: it negotiates": (fields("2099-01-01"), INITIALIZE, "2099-01-01"),
    "a notification": (fields("2025-11-25"), NOTIFICATION, "2025-11-25"),
    "a response to a question of ours": (fields("2025-11-25"), RESPONSE, "2025-11-25"),
    "unrelated _meta": (fields("2025-11-25"), request("tools/list", {"progressToken": 1}), "2025-11-25"),
    "_meta that is no object is the method's business": (fields("2025-11-25"), request("tools/list", 5), "2025-11-25"),
    "a batch in 2025-03-26": (fields("2025-03-26"), [NOTIFICATION, request("ping")], "2025-03-26"),
    "a batch without a version, which may be 2025-03-26": ([], [NOTIFICATION], None),
    "ping, a method that modern revisions no longer have": (fields("2025-11-25"), request("ping"), "2025-11-25"),
}


@pytest.mark.parametrize("rule", LEGACY)
def test_a_legacy_post_is_served_by_its_session(rule: str) -> None:
    headers, body, version = LEGACY[rule]
    assert outcome(headers, body) == Legacy(version)


SERVED: dict[str, tuple[Fields, object]] = {
    "headers repeat the body": (fields(MODERN, "tools/list"), LIST),
    "header names in any case": ([("mcp-PROTOCOL-version", MODERN), ("MCP-METHOD", "tools/list")], LIST),
    "a name in Base64": (fields(MODERN, "tools/call", ENCODED), CALL),
    "a plain name between blanks": (fields(MODERN, "tools/call", "  a "), request("tools/call", META, name="a")),
    "a resource is named by its URI": (fields(MODERN, "resources/read", "file:///a"), request("resources/read", META, uri="file:///a")),
    "a task is named by its id": (fields(MODERN, "tasks/get", "t1"), request("tasks/get", META, taskId="t1")),
    "neither header nor body have a name: the method says so": (fields(MODERN, "tools/call"), request("tools/call", META)),
    "a stale session id is ignored": ([*fields(MODERN, "tools/list"), ("Mcp-Session-Id", "x"), ("Last-Event-ID", "1")], LIST),
    "an unknown method is the method table's business": (fields(MODERN, "x/y"), request("x/y", META)),
    "no client info, which is optional": (fields(MODERN, "tools/list"), LIST),
    "a notification": (fields(), NOTIFICATION),
    "a notification that names the version in _meta only": ([], {**NOTIFICATION, "params": {"_meta": META}}),
}


@pytest.mark.parametrize("rule", SERVED)
def test_a_modern_post_is_served_by_what_it_says(rule: str) -> None:
    headers, body = SERVED[rule]
    served = outcome(headers, body)
    assert isinstance(served, Modern)
    assert (served.version, dict(served.capabilities)) == (MODERN, {})


def test_a_modern_request_brings_its_capabilities_identity_and_log_level() -> None:
    meta = {
        **META,
        CAPABILITIES: {"sampling": {}},
        "io.modelcontextprotocol/clientInfo": {"name": "c"},
        "io.modelcontextprotocol/logLevel": "info",
    }
    served = outcome(fields(MODERN, "tools/list"), request("tools/list", meta))
    assert isinstance(served, Modern)
    assert {name: bytes(raw) for name, raw in served.capabilities.items()} == {"sampling": b"{}"}
    assert json.loads(bytes(served.client_info or b"")) == {"name": "c"}
    assert served.log_level == "info"


REJECTED: dict[str, tuple[Fields, object, int, int]] = {
    "1. no JSON": ([], b"{", 400, -32700),
    "1. no JSON-RPC": ([], b"{}", 400, -32600),
    "2. a version twice": ([*fields(), *fields()], LIST, 400, -32020),
    "2. a method twice, though equal": ([*fields(MODERN, "tools/list"), ("mcp-method", "tools/list")], LIST, 400, -32020),
    "2. a name twice": ([*fields(MODERN, "tools/call", "a"), ("Mcp-Name", "b")], CALL, 400, -32020),
    "4. 2024-11-05, which has another transport": (fields("2024-11-05"), request("tools/list"), 400, -32022),
    "5. a batch after 2025-03-26": (fields("2025-06-18"), [NOTIFICATION], 400, -32600),
    "5. initialize in a batch": (fields("2025-03-26"), [INITIALIZE], 400, -32600),
    "6. a batch in a modern revision": (fields(), [LIST], 400, -32600),
    "6. a response in a modern revision": (fields(), RESPONSE, 400, -32600),
    "7. a notification of an unknown revision": (fields("2099-01-01"), NOTIFICATION, 400, -32022),
    "7. a notification that contradicts itself": (fields(), {**NOTIFICATION, "params": {"_meta": UNKNOWN}}, 400, -32020),
    "8. no params": (fields(MODERN, "tools/list"), {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, 400, -32602),
    "8. no _meta": (fields(MODERN, "tools/list"), request("tools/list"), 400, -32602),
    "8. _meta is no object": (fields(MODERN, "tools/list"), request("tools/list", 5), 400, -32602),
    "8. no version in _meta": (fields(MODERN, "tools/list"), request("tools/list", {CAPABILITIES: {}}), 400, -32602),
    "8. a version that is no text": (fields(MODERN, "tools/list"), request("tools/list", {**META, VERSION: 1}), 400, -32602),
    "8. no capabilities in _meta": (fields(MODERN, "tools/list"), request("tools/list", {VERSION: MODERN}), 400, -32602),
    "8. capabilities that are a list": (fields(MODERN, "tools/list"), request("tools/list", {**META, CAPABILITIES: []}), 400, -32602),
    "8. before 9: an unknown revision without _meta": (fields("2099-01-01", "tools/list"), request("tools/list"), 400, -32602),
    "9. no version header": (fields(None, "tools/list"), LIST, 400, -32020),
    "9. a legacy version header over a modern body": (fields("2025-11-25", "tools/list"), LIST, 400, -32020),
    "9. before 10: an unknown version in the body only": (fields(MODERN, "tools/list"), request("tools/list", UNKNOWN), 400, -32020),
    "10. an unknown version in both": (fields("2099-01-01", "tools/list"), request("tools/list", UNKNOWN), 400, -32022),
    "10. before 11: an unknown version without Mcp-Method": (fields("2099-01-01"), request("tools/list", UNKNOWN), 400, -32022),
    "11. no Mcp-Method": (fields(), LIST, 400, -32020),
    "11. another method": (fields(MODERN, "prompts/list"), LIST, 400, -32020),
    "11. the method in another case": (fields(MODERN, "Tools/List"), LIST, 400, -32020),
    "11. no Mcp-Name": (fields(MODERN, "tools/call"), CALL, 400, -32020),
    "11. another name": (fields(MODERN, "tools/call", "b"), CALL, 400, -32020),
    "11. a name the body does not have": (fields(MODERN, "tools/call", "b"), request("tools/call", META), 400, -32020),
    "11. a name with bytes beyond ASCII": (fields(MODERN, "tools/call", "grüß"), CALL, 400, -32020),
    "11. Base64 of something else": (fields(MODERN, "tools/call", "=?base64?YQ==?="), CALL, 400, -32020),
    "11. broken Base64": (fields(MODERN, "tools/call", "=?base64?Z3LDvMOf?==?="), CALL, 400, -32020),
    "11. before 12: ping without Mcp-Method": (fields(), request("ping", META), 400, -32020),
    "12. initialize": (fields(MODERN, "initialize"), request("initialize", META), 404, -32601),
    "12. ping": (fields(MODERN, "ping"), request("ping", META), 404, -32601),
    "12. logging/setLevel": (fields(MODERN, "logging/setLevel"), request("logging/setLevel", META), 404, -32601),
    "12. resources/subscribe": (fields(MODERN, "resources/subscribe"), request("resources/subscribe", META), 404, -32601),
    "12. resources/unsubscribe": (fields(MODERN, "resources/unsubscribe"), request("resources/unsubscribe", META), 404, -32601),
}


@pytest.mark.parametrize("rule", REJECTED)
def test_what_breaks_a_rule_is_rejected_by_the_first_one_it_breaks(rule: str) -> None:
    headers, body, status, code = REJECTED[rule]
    rejected = outcome(headers, body)
    assert isinstance(rejected, Rejection)
    assert (rejected.status, rejected.code) == (status, code)
    assert rejected.message


def test_an_unsupported_version_is_answered_with_what_is_supported() -> None:
    rejected = outcome(fields("2099-01-01", "tools/list"), request("tools/list", UNKNOWN))
    assert isinstance(rejected, Rejection)
    assert rejected.data == {"supported": [MODERN, "2025-11-25", "2025-06-18", "2025-03-26"], "requested": "2099-01-01"}


def test_a_rejection_shows_no_more_than_the_start_of_what_was_sent() -> None:
    rejected = outcome(fields(MODERN, "x" * 5000), LIST)
    assert isinstance(rejected, Rejection)
    assert len(rejected.message) < 300


def test_every_code_a_modern_rejection_has_is_in_the_status_table() -> None:
    for headers, body, status, code in REJECTED.values():
        rejected = outcome(headers, body)
        assert isinstance(rejected, Rejection)
        assert revision.ERROR_STATUS[code] == status
