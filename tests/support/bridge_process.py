"""A running bridge for tests: the real program, started as a container would start it, with HTTP calls to it."""

import asyncio
import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

OPERATOR = Path(__file__).parents[2] / "operator"
TESTDATA = Path(__file__).parents[1] / "bridge/testdata"
TOKEN = "planted-bridge-token"
WAIT = 20.0
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}

Json = dict[str, Any]
Start = Callable[..., Awaitable["Bridge"]]
"""`await start(*server_options, options=(…), command=(…), …)`: see the fixture of this name."""


def stdio_server(*options: str) -> tuple[str, ...]:
    """Return the command of the test server."""
    return (sys.executable, str(TESTDATA / "stdio_server.py"), *options)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition of another process holds. Raises TimeoutError."""
    async with asyncio.timeout(WAIT):
        while not await holds():  # noqa: ASYNC110  nothing in this process tells when
            await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def value(self) -> Any:
        """What a tool of the test server returned."""
        return json.loads(self.body["result"]["content"][0]["text"])


@dataclass
class Bridge:
    """A bridge process, its log and a client."""

    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession
    log: list[str] = field(default_factory=list)
    url: str = ""
    wrapped: bool = False
    _grew: asyncio.Event = field(default_factory=asyncio.Event)

    def terminate(self) -> None:
        """Send SIGTERM as the kubelet does: to the process that the prefix started, where it is one that starts others."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if self.process.returncode is None:
            within = children.read_text().split() if self.wrapped else []
            os.kill(int(within[0]) if within else self.process.pid, signal.SIGTERM)

    async def read_log(self) -> None:
        """Collect what the container would log, to its end."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode().rstrip("\n"))
            self._grew.set()

    async def logged(self, text: str, *, times: int = 1) -> str:
        """Wait for a log line that contains a text, for the n-th time, and return it."""
        async with asyncio.timeout(WAIT):
            while len(found := [line for line in self.log if text in line]) < times:
                self._grew.clear()
                await self._grew.wait()
        return found[times - 1]

    async def get(self, path: str) -> Answer:
        """GET as a probe does."""
        async with self.http.get(f"{self.url}{path}") as response:
            return Answer(response.status, response.headers, (await response.text()).strip())

    async def ready(self) -> None:
        """Wait until the server can be called."""

        async def is_ready() -> bool:
            return (await self.get("/readyz")).status == 200

        await until(is_ready)

    async def post(self, message: object, **headers: str) -> Answer:
        """POST one message with the token; headers are named with underscores."""
        sent = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.post(f"{self.url}/mcp", data=io.BytesIO(json.dumps(message).encode()), headers=sent) as response:
            text = await response.text()
            return Answer(response.status, response.headers, json.loads(text) if response.content_type == "application/json" else text)

    async def request(self, method: str, params: Json | None = None, *, id_: object = 1, modern: bool = False, **headers: str) -> Answer:
        """Send one request as a caller of either era does."""
        params = params or {}
        if modern:
            params = params | {"_meta": params.get("_meta", {}) | META}
            headers = {"MCP_Protocol_Version": MODERN, "Mcp_Method": method} | headers
            if "name" in params:
                headers |= {"Mcp_Name": params["name"]}
        return await self.post({"jsonrpc": "2.0", "id": id_, "method": method, "params": params}, **headers)

    async def session(self, capabilities: Json | None = None) -> str:
        """Begin a session as a legacy caller that can be asked for that; return its id."""
        answer = await self.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": capabilities or {}})
        assert answer.status == 200, answer.body
        return answer.headers["Mcp-Session-Id"]

    async def call(self, tool: str, *, id_: object = 1, modern: bool = False, session: str = "", **arguments: Any) -> Answer:
        """Call a tool of the test server."""
        headers = {"Mcp_Session_Id": session} if session else {}
        return await self.request("tools/call", {"name": tool, "arguments": arguments}, id_=id_, modern=modern, **headers)


@contextlib.asynccontextmanager
async def bridge(
    command: Sequence[str],
    *options: str,
    token_file: Path,
    prefix: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Bridge]:
    """Run a bridge in front of a command, on a free port; `prefix` is how Python is started."""
    python = prefix or (sys.executable, "-P")
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin"} | ({} if prefix else {"PYTHONPATH": str(OPERATOR)}) | dict(environment or {})
    words = (*python, "-m", "wharfinger_bridge", "--listen", "127.0.0.1:0", "--token-file", str(token_file), *options, "--", *command)
    process = await asyncio.create_subprocess_exec(*words, env=variables, stderr=asyncio.subprocess.PIPE)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(WAIT)) as http:
        running = Bridge(process, http, wrapped=python[0] == "unshare")
        reading = asyncio.create_task(running.read_log())
        try:
            line = await running.logged("bridge: listening port=")
            running.url = f"http://127.0.0.1:{line.rpartition('=')[2]}"
            yield running
        finally:
            running.terminate()
            try:
                await asyncio.wait_for(process.wait(), WAIT)
            except TimeoutError:
                process.kill()
                raise
            finally:
                await asyncio.wait_for(reading, WAIT)
