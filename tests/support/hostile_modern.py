"""Requests of the newest revision that a client must not send, or that are odd, and what they are answered: HTTP status and error code."""

from gateway_caller import META, MODERN
from hostile_headers import changed
from raw_http import Fields, rpc, text

NAMED: Fields = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/call"), ("Mcp-Name", "bot__echo")]
LISTING: Fields = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/list")]
VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


def listing(meta: object = META, **params: object) -> bytes:
    return text(rpc("tools/list", {"_meta": meta, **params}))


def calling(name: object = "bot__echo", meta: object = META, **params: object) -> bytes:
    return text(rpc("tools/call", {"name": name, "arguments": {}, "_meta": meta, **params}))


def of(method: str, **params: object) -> tuple[Fields, bytes]:
    return [("MCP-Protocol-Version", MODERN), ("Mcp-Method", method)], text(rpc(method, {"_meta": META, **params}))


MODERN_CASES: dict[str, tuple[Fields, bytes, int, int | None]] = {
    "all as it should be": (NAMED, calling(), 200, None),
    "a session and an event id, which mean nothing": ([*NAMED, ("Mcp-Session-Id", "x"), ("Last-Event-ID", "1")], calling(), 200, None),
    "no params": (LISTING, text(rpc("tools/list")), 400, -32602),
    "no _meta": (LISTING, text(rpc("tools/list", {})), 400, -32602),
    "_meta that is a text": (LISTING, listing("x"), 400, -32602),
    "_meta that is a list": (LISTING, listing([]), 400, -32602),
    "no version in _meta": (LISTING, listing({CAPABILITIES: {}}), 400, -32602),
    "no capabilities in _meta": (LISTING, listing({VERSION: MODERN}), 400, -32602),
    "capabilities that are a list": (LISTING, listing(META | {CAPABILITIES: []}), 400, -32602),
    "capabilities that are null": (LISTING, listing(META | {CAPABILITIES: None}), 400, -32602),
    "a version that is a number": (LISTING, listing(META | {VERSION: 20260728}), 400, -32602),
    "a log level that is a number": (LISTING, listing(META | {"io.modelcontextprotocol/logLevel": 3}), 400, -32602),
    "no version header": (changed(LISTING, MCP_Protocol_Version=None), listing(), 400, -32020),
    "an older version header": (changed(LISTING, MCP_Protocol_Version="2025-11-25"), listing(), 400, -32020),
    "a newer version in _meta": (LISTING, listing(META | {VERSION: "2099-01-01"}), 400, -32020),
    "a newer version in both": (changed(LISTING, MCP_Protocol_Version="2099-01-01"), listing(META | {VERSION: "2099-01-01"}), 400, -32022),
    "a version twice": (changed(LISTING, MCP_Protocol_Version=[MODERN, MODERN]), listing(), 400, -32020),
    "no Mcp-Method": (changed(LISTING, Mcp_Method=None), listing(), 400, -32020),
    "another Mcp-Method": (changed(LISTING, Mcp_Method="prompts/list"), listing(), 400, -32020),
    "Mcp-Method in another case": (changed(LISTING, Mcp_Method="tools/LIST"), listing(), 400, -32020),
    "Mcp-Method twice": (changed(LISTING, Mcp_Method=["tools/list", "tools/list"]), listing(), 400, -32020),
    "an empty Mcp-Method": (changed(LISTING, Mcp_Method=""), listing(), 400, -32020),
    "no Mcp-Name": (changed(NAMED, Mcp_Name=None), calling(), 400, -32020),
    "another Mcp-Name": (changed(NAMED, Mcp_Name="bot__other"), calling(), 400, -32020),
    "Mcp-Name twice": (changed(NAMED, Mcp_Name=["bot__echo", "bot__echo"]), calling(), 400, -32020),
    "Mcp-Name in another case": (changed(NAMED, Mcp_Name="BOT__ECHO"), calling(), 400, -32020),
    "Mcp-Name beyond ASCII": (changed(NAMED, Mcp_Name=b"bot__\xc3\xa9cho"), calling("bot__\u00e9cho"), 400, -32020),
    "Mcp-Name with broken Base64": (changed(NAMED, Mcp_Name="=?base64?Ym90X19lY2hv!?="), calling(), 400, -32020),
    "Mcp-Name whose Base64 is no UTF-8": (changed(NAMED, Mcp_Name="=?base64?/w==?="), calling(), 400, -32020),
    "Mcp-Name in Base64": (changed(NAMED, Mcp_Name="=?base64?Ym90X19lY2hv?="), calling(), 200, None),
    "Mcp-Name between blanks": (changed(NAMED, Mcp_Name="  bot__echo \t"), calling(), 200, None),
    "Mcp-Name of another prompt": ([*of("prompts/get")[0], ("Mcp-Name", "bot__a")], of("prompts/get", name="bot__b")[1], 400, -32020),
    "no Mcp-Name of a prompt": (*of("prompts/get", name="bot__a"), 400, -32020),
    "Mcp-Name of another resource": ([*of("resources/read")[0], ("Mcp-Name", "a://1")], of("resources/read", uri="a://2")[1], 400, -32020),
    "no Mcp-Name of a resource": (*of("resources/read", uri="a://1"), 400, -32020),
    "Mcp-Name of a resource, that names it by name": (
        [*of("resources/read")[0], ("Mcp-Name", "a://1")], of("resources/read", name="a://1")[1], 400, -32020,
    ),
    "a name in the header alone": (NAMED, text(rpc("tools/call", {"_meta": META})), 400, -32020),
    "a name that is a number": (NAMED, calling(5), 400, -32020),
    "a name nowhere": (changed(NAMED, Mcp_Name=None), text(rpc("tools/call", {"_meta": META})), 400, -32602),
    "a tool that is not there": (changed(NAMED, Mcp_Name="bot__absent"), calling("bot__absent"), 400, -32602),
    "a batch": (LISTING, text([rpc("tools/list", {"_meta": META})]), 400, -32600),
    "a response": (LISTING, b'{"jsonrpc":"2.0","id":1,"result":{}}', 400, -32600),
    "a notification": (LISTING[:1], b'{"jsonrpc":"2.0","method":"notifications/cancelled"}', 202, None),
    "a notification of another revision": ([("MCP-Protocol-Version", "2099-01-01")], b'{"jsonrpc":"2.0","method":"notifications/x"}', 400, -32022),
    "initialize": (*of("initialize"), 404, -32601),
    "ping": (*of("ping"), 404, -32601),
    "logging/setLevel": (*of("logging/setLevel", level="info"), 404, -32601),
    "resources/subscribe": (*of("resources/subscribe", uri="a://b"), 404, -32601),
    "a method that is none": (*of("tools/frobnicate"), 404, -32601),
    "prompts where none are selected": (*of("prompts/list"), 404, -32601),
    "a cursor that was never given": (*of("tools/list", cursor=""), 400, -32602),
    "a subscription to nothing": (*of("subscriptions/listen"), 400, -32602),
    "a subscription to a list": (*of("subscriptions/listen", notifications=[]), 400, -32602),
    "a forged requestState": (NAMED, calling(requestState="x" * 100, meta=META | {CAPABILITIES: {"elicitation": {}}}), 400, -32602),
    "a requestState that is a number": (NAMED, calling(requestState=7, meta=META | {CAPABILITIES: {"elicitation": {}}}), 400, -32602),
    "a parameter's header that is missing": (changed(NAMED, Mcp_Name="bot__placed"), calling("bot__placed", arguments={"region": "eu"}), 400, -32020),
    "a parameter's header that contradicts": (
        [*changed(NAMED, Mcp_Name="bot__placed"), ("Mcp-Param-Region", "us")], calling("bot__placed", arguments={"region": "eu"}), 400, -32020,
    ),
    "a parameter's header twice": (
        [*changed(NAMED, Mcp_Name="bot__placed"), ("Mcp-Param-Region", "eu"), ("mcp-param-region", "eu")],
        calling("bot__placed", arguments={"region": "eu"}), 400, -32020,
    ),
    "a parameter's header without a parameter": (
        [*changed(NAMED, Mcp_Name="bot__placed"), ("Mcp-Param-Region", "eu")], calling("bot__placed"), 400, -32020,
    ),
    "a header of a parameter that nobody knows": ([*NAMED, ("Mcp-Param-Else", b"\xff")], calling(), 200, None),
}  # fmt: skip
