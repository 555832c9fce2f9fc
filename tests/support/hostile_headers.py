"""Requests whose header fields, request line or `_meta` a client must not send, and what they are answered: HTTP status and error code."""

from collections.abc import Callable, Mapping

from gateway_caller import MODERN
from gateway_world import ALICE, BOB
from raw_http import Fields

PATH = "/v1/mcp/dev.tools"
BASE: Fields = [
    ("Host", "127.0.0.1"),
    ("Authorization", f"Bearer {ALICE}"),
    ("Content-Type", "application/json"),
    ("Accept", "application/json, text/event-stream"),
]


def changed(fields: Fields, **changes: str | bytes | list[str] | None) -> Fields:
    """Return the fields with others in place of some, `None`: without, a list: several."""
    kept = [(name, value) for name, value in fields if name.replace("-", "_") not in changes]
    for name, value in changes.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        kept += [(name.replace("_", "-"), one) for one in values]
    return kept


HEADERS: dict[str, tuple[Callable[[Mapping[str, str]], Fields], int, int | None]] = {
    "no token": (lambda _: changed(BASE, Authorization=None), 401, -32001),
    "an empty token": (lambda _: changed(BASE, Authorization="Bearer "), 401, -32001),
    "another scheme": (lambda _: changed(BASE, Authorization=f"Basic {ALICE}"), 401, -32001),
    "two tokens": (lambda _: changed(BASE, Authorization=[f"Bearer {ALICE}", f"Bearer {BOB}"]), 401, -32001),
    "a token beyond ASCII": (lambda _: changed(BASE, Authorization=b"Bearer \xff\xfe"), 401, -32001),
    "a token of 6000 characters": (lambda _: changed(BASE, Authorization="Bearer " + "x" * 6000), 401, -32001),
    "a page of another origin": (lambda _: changed(BASE, Origin="https://evil.example"), 403, -32003),
    "two origins, one of them ours": (lambda _: changed(BASE, Origin=["http://localhost", "https://evil.example"]), 403, -32003),
    "an origin of null": (lambda _: changed(BASE, Origin="null"), 403, -32003),
    "a rebound host": (lambda _: changed(BASE, Host="evil.example"), 403, -32003),
    "no content type": (lambda _: changed(BASE, Content_Type=None), 415, -32600),
    "text": (lambda _: changed(BASE, Content_Type="text/plain"), 415, -32600),
    "a form": (lambda _: changed(BASE, Content_Type="application/x-www-form-urlencoded"), 415, -32600),
    "almost JSON": (lambda _: changed(BASE, Content_Type="application/json-patch+json"), 415, -32600),
    "two content types": (lambda _: changed(BASE, Content_Type=["application/json", "text/plain"]), 400, None),
    "compression": (lambda _: changed(BASE, Content_Encoding="gzip"), 415, -32600),
    "compression twice": (lambda _: changed(BASE, Content_Encoding="identity, br"), 415, -32600),
    "an answer that is no JSON": (lambda _: changed(BASE, Accept="text/html"), 406, -32600),
    "JSON with a weight of zero": (lambda _: changed(BASE, Accept="application/json;q=0, text/event-stream"), 406, -32600),
    "no session": (lambda _: BASE, 400, -32000),
    "an empty session": (lambda _: changed(BASE, Mcp_Session_Id=""), 404, -32001),
    "a guessed session": (lambda _: changed(BASE, Mcp_Session_Id="1"), 404, -32001),
    "a session of 6000 characters": (lambda _: changed(BASE, Mcp_Session_Id="x" * 6000), 404, -32001),
    "a session beyond ASCII": (lambda _: changed(BASE, Mcp_Session_Id=b"\xff"), 404, -32001),
    "a session with one character more": (lambda t: changed(BASE, Mcp_Session_Id=t["2025-11-25"] + "A"), 404, -32001),
    "a session in other letters": (lambda t: changed(BASE, Mcp_Session_Id=t["2025-11-25"].swapcase()), 404, -32001),
    "two sessions": (lambda t: changed(BASE, Mcp_Session_Id=list(t.values())[:2]), 404, -32001),
    "another caller's session": (
        lambda t: changed(BASE, Authorization=f"Bearer {BOB}", Mcp_Session_Id=t["2025-11-25"]), 404, -32001,
    ),
    "another version than the session's": (
        lambda t: changed(BASE, Mcp_Session_Id=t["2025-11-25"], MCP_Protocol_Version="2025-06-18"), 400, -32600,
    ),
    "the version of the other transport": (
        lambda t: changed(BASE, Mcp_Session_Id=t["2025-11-25"], MCP_Protocol_Version="2024-11-05"), 400, -32022,
    ),
    "a version twice": (
        lambda t: changed(BASE, Mcp_Session_Id=t["2025-11-25"], MCP_Protocol_Version=["2025-11-25", "2025-11-25"]), 400, -32020,
    ),
    "a version that is none, and no _meta": (
        lambda t: changed(BASE, Mcp_Session_Id=t["2025-11-25"], MCP_Protocol_Version="latest"), 400, -32602,
    ),
    "an empty version": (lambda t: changed(BASE, Mcp_Session_Id=t["2025-11-25"], MCP_Protocol_Version=""), 400, -32602),
}  # fmt: skip

REQUESTS: dict[str, tuple[str, str, Fields, int, int | None]] = {
    "PUT": ("PUT", PATH, BASE, 405, -32005),
    "PATCH": ("PATCH", PATH, BASE, 405, -32005),
    "OPTIONS": ("OPTIONS", PATH, BASE, 405, -32005),
    "a verb of one's own": ("FROBNICATE", PATH, BASE, 400, None),
    "GET without a session": ("GET", PATH, BASE, 405, -32005),
    "GET with a session that is none": ("GET", PATH, [*BASE, ("Mcp-Session-Id", "x")], 404, -32001),
    "GET of the newest revision": ("GET", PATH, [*BASE, ("MCP-Protocol-Version", MODERN)], 405, -32005),
    "DELETE without a session": ("DELETE", PATH, BASE, 405, -32005),
    "DELETE of the newest revision": ("DELETE", PATH, [*BASE, ("MCP-Protocol-Version", MODERN)], 405, -32005),
    "DELETE of a session that is none": ("DELETE", PATH, [*BASE, ("Mcp-Session-Id", "x")], 404, -32001),
    "another path": ("POST", "/v1/mcp/dev.none", BASE, 404, -32004),
    "a path with dots": ("POST", "/v1/mcp/x/../dev.tools", BASE, 404, -32004),
    "a path with an escape": ("POST", "/v1/mcp/dev%2etools", BASE, 404, -32004),
    "a path with a NUL": ("POST", "/v1/mcp/dev.tools%00", BASE, 404, -32004),
    "a path of 6000 characters": ("POST", "/v1/mcp/" + "x" * 6000, BASE, 404, -32004),
    "a whole URL": ("POST", f"http://evil.example{PATH}", BASE, 404, -32004),
    "a token in the query": ("POST", f"{PATH}?access_token={ALICE}", changed(BASE, Authorization=None), 401, -32001),
    "messages beside no stream": ("POST", f"{PATH}/sse/messages?session=x", BASE, 404, -32001),
    "messages that name no stream": ("POST", f"{PATH}/sse/messages", BASE, 404, -32001),
    "GET of messages": ("GET", f"{PATH}/sse/messages", BASE, 405, -32005),
    "POST to the stream": ("POST", f"{PATH}/sse", BASE, 405, -32005),
    "a stream for another origin": ("GET", f"{PATH}/sse", [*BASE, ("Origin", "https://evil.example")], 403, -32003),
    "messages of another origin": ("POST", f"{PATH}/sse/messages?session=x", [*BASE, ("Origin", "https://evil.example")], 403, -32003),
    "a stream that is not wanted": ("GET", f"{PATH}/sse", changed(BASE, Accept="application/json"), 406, -32006),
}  # fmt: skip
