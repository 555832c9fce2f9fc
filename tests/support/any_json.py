"""Strategies for what may come over a wire: any JSON, messages with any members, header fields with any value."""

import json
from typing import Any

from hypothesis import strategies as st
from multidict import CIMultiDict

TEXTS = st.text(max_size=12)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
VERSION = "io.modelcontextprotocol/protocolVersion"
META: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from([VERSION, "io.modelcontextprotocol/clientCapabilities", "io.modelcontextprotocol/logLevel", "progressToken"]) | TEXTS,
    VALUES | st.just("2026-07-28") | st.just({}),
    max_size=5,
)
PARAMS = st.fixed_dictionaries(
    {},
    optional={"_meta": META | VALUES, "name": TEXTS | VALUES, "uri": VALUES, "arguments": VALUES, "cursor": VALUES, "requestState": VALUES},
)
METHODS = st.sampled_from(
    ["tools/call", "tools/list", "initialize", "ping", "server/discover", "resources/read", "notifications/cancelled"]
)
MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "id": st.integers() | TEXTS | VALUES,
        "method": METHODS | TEXTS,
        "params": PARAMS | VALUES,
        "result": VALUES,
        "error": VALUES,
    },
)
BODIES = st.binary(max_size=100) | (MESSAGES | st.lists(MESSAGES, max_size=3) | VALUES).map(lambda value: json.dumps(value).encode())
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["MCP-Protocol-Version", "Mcp-Method", "mcp-method", "Mcp-Name", "Mcp-Session-Id", "Mcp-Param-Region", "Accept"]),
        TEXTS | st.sampled_from(["2026-07-28", "2025-11-25", "tools/call", "tools/list", "=?base64?YQ==?=", "=?base64?", "*/*"]),
    ),
    max_size=6,
).map(CIMultiDict)
