"""A client of the gateway: the official MCP SDK, with the example's token."""

from typing import NamedTuple

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from quickstart.progress import DemoError

SECONDS = 30.0
CALLS = (
    ("time__get_current_time", {"timezone": "Europe/Berlin"}),
    ("greeter__greet", {"name": "Wharfinger"}),
)


class Called(NamedTuple):
    """What the gateway offered and answered."""

    tools: tuple[str, ...]
    calls: str


async def call_both(url: str, token: str) -> Called:
    """List the tools and call one of each server. Raises DemoError."""
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS)
    async with http, Client(streamable_http_client(url, http_client=http)) as client:
        tools = tuple(sorted(tool.name for tool in (await client.list_tools()).tools))
        answers = [await _call(client, name, arguments) for name, arguments in CALLS]
    return Called(tools, "\n".join(answers))


async def _call(client: Client, name: str, arguments: dict[str, str]) -> str:
    result = await client.call_tool(name, arguments)
    text = " ".join(getattr(part, "text", "") for part in result.content)
    if result.is_error:
        raise DemoError(f"{name} answered with an error: {text}")
    return f"\n  {name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})\n  → {' '.join(text.split())}"
