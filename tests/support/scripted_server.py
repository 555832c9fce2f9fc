"""A scripted HTTP server on a bare socket, and the shortest way to ask it something."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from typing import Protocol

from wharfinger_mcp.endpoint import Endpoint
from wharfinger_mcp.http_client import HttpClient

Script = Callable[[StreamReader, StreamWriter], Awaitable[None]]
"""What the server does with one connection."""


class Tcp(Protocol):
    """The fixture `tcp`."""

    async def __call__(self, script: Script, host: str = "127.0.0.1", port: int = 0) -> Endpoint:
        """Start a server and return where it is; port 0 is a free one."""


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def ask(client: HttpClient, endpoint: Endpoint, body: bytes = b"hello", *, seconds: float = 10, limit: int = 100_000) -> bytes:
    head = endpoint.request_head("POST", {}, {}, len(body))
    deadline = asyncio.get_running_loop().time() + seconds
    answer = await client.send(endpoint, head, body, deadline=deadline, limit=limit)
    try:
        return await answer.body()
    finally:
        answer.close()


async def take_request(reader: StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return head + await reader.readexactly(length)


class Answering:
    """A script that answers each request with the next bytes, and counts."""

    def __init__(self, *answers: bytes, close: bool = False) -> None:
        self.answers = list(answers)
        self.close = close
        self.connections = 0
        self.requests = 0
        self.ended = asyncio.Event()

    async def __call__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                await take_request(reader)
                self.requests += 1
                writer.write(self.answers.pop(0))
                await writer.drain()
                if self.close:
                    return
            await reader.read()
        finally:
            self.ended.set()
