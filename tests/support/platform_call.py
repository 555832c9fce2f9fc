"""A call of a tool through the platform's gateway, by a client of the newest era that never tries twice."""

import json
from typing import Any

import httpx2

from gateway_caller import META, MODERN


def call(url: str, token: str, tool: str, number: int = 0, **arguments: Any) -> dict[str, Any]:
    """Return the answer, `{"lost": …}` where none came, or `{"status": …}` where it is none of MCP."""
    headers = {
        "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool,
        "Authorization": f"Bearer {token}",
    }  # fmt: skip
    body = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": tool, "arguments": arguments, "_meta": META}}
    try:
        answer = httpx2.post(url, json=body, headers=headers, timeout=60)
    except httpx2.HTTPError as error:
        return {"lost": repr(error)}
    # What takes long is answered as a stream, of which the answer is the last event.
    text = answer.text if answer.headers.get("content-type") == "application/json" else answer.text.rpartition("data: ")[2]
    found: dict[str, Any] = json.loads(text) if text.startswith("{") else {"status": answer.status_code}
    return found
