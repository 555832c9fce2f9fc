"""HTTP requests byte by byte, for what no client library would send."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SECONDS = 20.0
Fields = list[tuple[str, str | bytes]]


@dataclass(frozen=True)
class RawAnswer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> int | None:
        """The code of the JSON-RPC error; None where there is none."""
        if not self.body.startswith(b"{"):
            return None
        return (json.loads(self.body).get("error") or {}).get("code")

    @property
    def message(self) -> Any:
        """The JSON-RPC message."""
        return json.loads(self.body)


def request(verb: str, path: str, fields: Iterable[tuple[str, str | bytes]], body: bytes) -> bytes:
    """Return a request with these header fields and no others but the body's length, unless `fields` speak of that."""
    given = [(name, value.encode() if isinstance(value, str) else value) for name, value in fields]
    if not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in given):
        given.append(("Content-Length", b"%d" % len(body)))
    lines = [f"{verb} {path} HTTP/1.1".encode(), *(name.encode() + b": " + value for name, value in given)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def exchange(url: str, sent: bytes) -> RawAnswer:
    """Send these bytes on a connection of their own and return the answer, the first piece of a stream without length."""
    reader, writer = await connect(url)
    try:
        async with asyncio.timeout(SECONDS):
            writer.write(sent)
            return await answer(reader)
    finally:
        writer.transport.abort()


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def answer(reader: asyncio.StreamReader) -> RawAnswer:
    """Read one answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    length = int(headers.get("content-length", "0"))
    return RawAnswer(int(head[0].split()[1]), headers, await reader.readexactly(length) if length else b"")


def text(message: object) -> bytes:
    """Return a body."""
    return json.dumps(message).encode()


def rpc(method: str, params: object = None, id_: object = 1) -> dict[str, Any]:
    """Return a JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": id_, "method": method} | ({} if params is None else {"params": params})
