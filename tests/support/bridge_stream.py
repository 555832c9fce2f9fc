"""An event stream of the bridge, as a caller reads it."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from bridge_process import TOKEN, WAIT, Bridge, Json


class Stream:
    """An open stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Any:
        """Return the next message; None at the stream's end."""
        async with asyncio.timeout(WAIT):
            while line := await self.response.content.readline():
                if line.startswith(b"data: "):
                    return json.loads(line.removeprefix(b"data: "))
        return None

    async def rest(self) -> list[Any]:
        """Return all messages to the end."""
        found = []
        while (message := await self.next()) is not None:
            found.append(message)
        return found

    async def opened(self) -> None:
        """Wait for the first line."""
        async with asyncio.timeout(WAIT):
            assert await self.response.content.readline() == b": open\n"


@contextlib.asynccontextmanager
async def unasked(bridge: Bridge, session: str = "") -> AsyncIterator[Stream]:
    """Open the stream of what belongs to no call."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream"} | ({"Mcp-Session-Id": session} if session else {})
    async with bridge.http.get(f"{bridge.url}/mcp", headers=headers) as response:
        yield Stream(response)


@contextlib.asynccontextmanager
async def call_stream(bridge: Bridge, tool: str, meta: Json | None = None, session: str = "", **arguments: Any) -> AsyncIterator[Stream]:
    """Call a tool of the test server, and read its answer as it comes."""
    params = {"name": tool, "arguments": arguments} | ({"_meta": meta} if meta else {})
    body = json.dumps({"jsonrpc": "2.0", "id": "call", "method": "tools/call", "params": params}).encode()
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    headers |= {"Mcp-Session-Id": session} if session else {}
    async with bridge.http.post(f"{bridge.url}/mcp", data=io.BytesIO(body), headers=headers) as response:
        yield Stream(response)
