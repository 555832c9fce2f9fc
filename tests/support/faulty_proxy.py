"""An HTTP proxy in front of the API server that fails on demand, as load balancers, networks and API servers do.

It logs in by itself, so its clients need no credential: `Login(server=proxy.url)`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Self

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from wharfinger_cluster.connection import Login

Which = Callable[[web.Request], bool]
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def anything(request: web.Request) -> bool:
    return True


def nothing(request: web.Request) -> bool:
    return False


def watches(request: web.Request) -> bool:
    return "watch" in request.query


def lists(request: web.Request) -> bool:
    return request.method == "GET" and "limit" in request.query


def writes(request: web.Request) -> bool:
    return request.method != "GET"


def status_of(code: int, reason: str = "", message: str = "injected") -> dict[str, object]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


@dataclass
class _Answer:
    which: Which
    status: int
    body: bytes
    headers: Mapping[str, str]
    left: float


class FaultyProxy:
    def __init__(self, login: Login) -> None:
        self.seen: list[tuple[str, str]] = []
        """Method and path with query of each request, those answered by the proxy itself included."""
        self.answered: list[tuple[str, str, int]] = []
        """Method, path with query and status of each request that the API server answered."""
        self._login = login
        self._answers: list[_Answer] = []
        self._open: set[web.StreamResponse] = set()
        self._transports: set[asyncio.BaseTransport] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._hanging: Which = nothing
        self._port = 0

    async def __aenter__(self) -> Self:
        self._upstream = self._login.session(limit=0)
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await self.accept()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cut(self._transports)
        await self._runner.cleanup()
        await self._upstream.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def open_watches(self) -> int:
        return len(self._open)

    def open_watches_of(self, which: Which) -> int:
        return len(self._watches(which))

    @property
    def connections(self) -> int:
        """How many connections clients made since the last cut."""
        return len(self._transports)

    def count(self, part: str) -> int:
        """How many requests had this in their path or query."""
        return sum(part in target for _, target in self.seen)

    def answer(
        self, status: int, which: Which = anything, *, times: float = 1, body: bytes = b"", headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        """Answer the next requests of that sort without asking the API server; `times` may be infinite."""
        self._answers.append(_Answer(which, status, body or msgspec.json.encode(status_of(status)), headers, times))

    def hang(self, which: Which) -> None:
        """Take requests of that sort and never answer."""
        self._hanging = which

    def recover(self) -> None:
        """Answer and hang no more."""
        self._answers.clear()
        self._hanging = nothing

    async def inject(self, line: bytes, which: Which = anything) -> None:
        """Send a line to the open watches of that sort, as if it came from the API server."""
        for response in self._watches(which):
            await response.write(line + b"\n")

    async def truncate(self, part: bytes, which: Which = anything) -> None:
        """End the open watches of that sort in good order, but in the middle of a line."""
        for response in self._watches(which):
            await response.write(part)
            await response.write_eof()
            if response._req and response._req.transport:
                response._req.transport.close()

    def cut_watches(self, which: Which = anything) -> None:
        """Reset the connections of the open watches of that sort."""
        self._cut({response._req.transport for response in self._watches(which) if response._req and response._req.transport})

    def freeze(self) -> None:
        """Leave watches open, but let nothing through, like a firewall that forgot the connection."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    async def refuse(self) -> None:
        """Refuse connections, and reset those that are open."""
        await self._site.stop()
        self._cut(self._transports)

    async def accept(self) -> None:
        """Accept connections, again on the same port."""
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()
        self._port = self._runner.addresses[0][1]

    def _watches(self, which: Which) -> list[web.StreamResponse]:
        return [response for response in self._open if isinstance(response._req, web.Request) and which(response._req)]

    @staticmethod
    def _cut(transports: set[asyncio.BaseTransport]) -> None:
        for transport in list(transports):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        transports.clear()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path_qs))
        if request.transport:
            self._transports.add(request.transport)
        for answer in self._answers:
            if answer.left > 0 and answer.which(request):
                answer.left -= 1
                return web.Response(status=answer.status, body=answer.body, headers=answer.headers, content_type="application/json")
        if self._hanging(request):
            await asyncio.Event().wait()
        return await self._forward(request)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        body = await request.read() or None
        accepted = {"Accept": request.headers["Accept"]} if "Accept" in request.headers else {}
        upstream = self._upstream.request(
            request.method,
            URL(f"{self._login.server}{request.raw_path}", encoded=True),
            data=body,
            headers={**accepted, **({"Content-Type": request.content_type} if "Content-Type" in request.headers else {})},
            timeout=aiohttp.ClientTimeout(total=None),
        )
        async with upstream as answer:
            self.answered.append((request.method, request.path_qs, answer.status))
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
            await response.prepare(request)
            if watches(request):
                self._open.add(response)
            try:
                async for chunk in answer.content.iter_any():
                    if watches(request):
                        await self._flowing.wait()
                    await response.write(chunk)
            finally:
                self._open.discard(response)
            await response.write_eof()
            return response
