"""A modern server whose tools change when a test says so, and which announces that on its streams."""

import asyncio
from typing import Any

from aiohttp import web

from recording_server import RecordingServer, Reply, result

_ACKNOWLEDGED = b'data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}}\n\n'
_CHANGED = b'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'
_PAGE = 100


class AnnouncingServer(RecordingServer):
    """Lists its tools a hundred a page."""

    def __init__(self, tools: list[dict[str, Any]]) -> None:
        replies: dict[str, Reply] = {"server/discover": self._begin, "tools/list": self._list, "subscriptions/listen": self._stream}
        super().__init__(modern=True, replies=replies)
        self.tools = tools
        self.lists = 0
        """How many times it has listed all of them."""
        self._opened: list[tuple[web.Request, web.StreamResponse]] = []

    async def _begin(self, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return result(message, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": True}}})

    async def _list(self, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        start = int(message["params"].get("cursor", 0))
        self.lists += start + _PAGE >= len(self.tools)
        following = {"nextCursor": str(start + _PAGE)} if start + _PAGE < len(self.tools) else {}
        return result(message, {"tools": self.tools[start : start + _PAGE], **following})

    async def _stream(self, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(_ACKNOWLEDGED)
        self._opened.append((request, stream))
        await asyncio.Event().wait()
        return stream

    @property
    def streams(self) -> list[tuple[web.Request, web.StreamResponse]]:
        """The streams that somebody still listens to."""
        return [(request, stream) for request, stream in self._opened if request.transport is not None]

    async def change(self, tools: list[dict[str, Any]], times: int = 1) -> None:
        """List other tools from now on, and announce it so many times on each stream."""
        self.tools = tools
        for _, stream in self.streams:
            await stream.write(_CHANGED * times)
