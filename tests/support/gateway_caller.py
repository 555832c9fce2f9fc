"""An MCP client that says exactly what a test wants, straight into the pipeline or over HTTP."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from multidict import CIMultiDict

from wharfinger_gateway.incoming import Incoming, Reply
from wharfinger_gateway.refusals import Reason, Refusal

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}
Json = dict[str, Any]
Serve = Callable[[Incoming], Awaitable[Reply]]


@dataclass(frozen=True)
class Answered:
    """A reply, read."""

    reply: Reply

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.reply.status

    @property
    def message(self) -> Any:
        """The JSON-RPC message."""
        return json.loads(self.reply.body)

    @property
    def result(self) -> Json:
        """The result; there must be one."""
        assert "result" in self.message, self.message
        return dict(self.message["result"])

    @property
    def error(self) -> Json:
        """The error; there must be one."""
        assert "error" in self.message, self.message
        return dict(self.message["error"])

    @property
    def text(self) -> str:
        """The first text of a tool's result."""
        return str(self.result["content"][0]["text"])


@dataclass
class Recorder:
    """A channel that keeps what is said, and lets a test leave."""

    said: list[Json] = field(default_factory=list)
    is_open: bool = False
    events: list[tuple[str, str]] = field(default_factory=list)
    _leaving: list[Callable[[], None]] = field(default_factory=list)

    async def open(self) -> None:
        self.is_open = True

    async def say(self, message: bytes) -> bool:
        self.is_open = True
        self.said.append(json.loads(message))
        return True

    async def event(self, kind: str, data: bytes) -> bool:
        self.is_open = True
        self.events.append((kind, data.decode()))
        return True

    async def write(self, events: bytes) -> bool:
        self.is_open = True
        return True

    def linger(self) -> None:
        """Nothing to keep alive."""

    def on_leave(self, leave: Callable[[], None]) -> Callable[[], None]:
        self._leaving.append(leave)

        def stay() -> None:
            if leave in self._leaving:
                self._leaving.remove(leave)

        return stay

    def leave(self) -> None:
        """Have the client go."""
        leaving, self._leaving = self._leaving, []
        for leave in leaving:
            leave()


@dataclass
class Kept:
    """A head, as far as it is remembered."""

    memo: object = None


@dataclass
class Caller:
    """Sends as one caller to one gateway."""

    serve: Serve
    token: str | None
    gateway: str = "dev.tools"
    session: str | None = None
    channel: Recorder = field(default_factory=Recorder)
    """Where everything goes that comes before replies."""
    heads: dict[object, Kept] = field(default_factory=dict)
    """What is remembered of the heads that were sent before, as on one connection."""

    async def send(self, body: bytes = b"", verb: str = "POST", path: str | None = None, **headers: str) -> Answered:
        """Send one HTTP request; headers are named with underscores."""
        fields: CIMultiDict[str] = CIMultiDict({"Content-Type": "application/json", "Accept": "application/json, text/event-stream"})
        if self.token is not None:
            fields["Authorization"] = f"Bearer {self.token}"
        if self.session is not None:
            fields["Mcp-Session-Id"] = self.session
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})

        async def read(limit: int) -> bytes | Refusal:
            return body if len(body) <= limit else Refusal(Reason.TOO_LARGE)

        where, _, query = (path or f"/v1/mcp/{self.gateway}").partition("?")
        kept = self.heads.setdefault((verb, path, *fields.items()), Kept())
        return Answered(await self.serve(Incoming(verb, where, fields, read, self.channel, query, kept)))

    async def request(self, method: str, params: Json | None = None, *, id_: object = 1, **headers: str) -> Answered:
        """Send one request as a legacy client does."""
        return await self.send(json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params or {}}).encode(), **headers)

    async def initialize(self, version: str = "2025-11-25", capabilities: Json | None = None) -> Answered:
        """Open a legacy session, and keep its id."""
        params = {"protocolVersion": version, "capabilities": capabilities or {}, "clientInfo": {"name": "test", "version": "1"}}
        answered = await self.request("initialize", params)
        self.session = answered.reply.headers.get("Mcp-Session-Id")
        return answered

    async def modern(self, method: str, params: Json | None = None, *, id_: object = 1, meta: Any = None, **headers: str) -> Answered:
        """Send one request as a modern client does."""
        params = (params or {}) | {"_meta": META | (meta or {})}
        own = {"MCP_Protocol_Version": MODERN, "Mcp_Method": method} | ({"Mcp_Name": params["name"]} if "name" in params else {})
        return await self.request(method, params, id_=id_, **(own | headers))

    async def call(self, tool: str, *, modern: bool = False, **arguments: Any) -> Answered:
        """Call a tool."""
        params = {"name": tool, "arguments": arguments}
        if modern:
            return await self.modern("tools/call", params)
        if self.session is None:
            await self.initialize()
        return await self.request("tools/call", params)

    async def tools(self, *, modern: bool = False) -> list[str]:
        """Return the names of the listed tools."""
        if not modern and self.session is None:
            await self.initialize()
        answered = await (self.modern if modern else self.request)("tools/list")
        return [tool["name"] for tool in answered.result["tools"]]
