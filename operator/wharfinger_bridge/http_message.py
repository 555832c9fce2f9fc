"""HTTP/1.1 as far as the bridge speaks it (RFC 9110, RFC 9112): request heads, bodies, responses. Pure, strict, bounded.

- Only HTTP/1.1, only origin-form targets, only CRLF line ends, no folded headers.
- A message has one framing or it is refused: Content-Length with Transfer-Encoding, repeated or odd lengths, unknown codings. What two
  parsers could read differently is never guessed (request smuggling, RFC 9112 §11.2).
"""

import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

HEAD_LIMIT: Final = 32 * 1024
HEADER_COUNT_LIMIT: Final = 100
HEAD_END: Final = b"\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/([0-9]\.[0-9])")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_CHUNK_LINE_LIMIT = 256
_TRAILER_LIMIT = 4096
_SINGLE = frozenset({"host", "content-length", "transfer-encoding", "content-type", "authorization", "origin", "expect"})


@dataclass(frozen=True, slots=True)
class Malformed:
    """A request that is answered with this status and reason, after which the connection closes."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one request; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    length: int | None
    """Bytes of the body; None for a chunked one."""
    keep_alive: bool
    expects_continue: bool


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; its length is always declared, unless it is a stream."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    stream: AsyncGenerator[bytes] | None = None
    """Pieces of a body without a known end, in place of `body`."""


def text_response(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """Return an answer for people and probes: one line of text."""
    return Response(status, f"{text}\n".encode(), "text/plain; charset=utf-8", headers)


def render(response: Response, *, keep_alive: bool) -> bytes:
    """Return the bytes of a response."""
    framing = f"Content-Length: {len(response.body)}" if response.stream is None else "Transfer-Encoding: chunked"
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}", framing]
    if response.body or response.stream is not None:
        lines.append(f"Content-Type: {response.content_type}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    if not keep_alive:
        lines.append("Connection: close")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + response.body


def chunk(piece: bytes) -> bytes:
    """Return one chunk of a stream (RFC 9112 §7.1)."""
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def parse_head(block: bytes) -> Head | Malformed:
    """Return the head of a request from the bytes before its empty line."""
    first, *lines = block.split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(first)
    if request is None:
        return Malformed(400, "malformed request line")
    if request[3] != b"1.1":
        return Malformed(505, "only HTTP/1.1 is served")
    headers = _parse_headers(lines)
    if isinstance(headers, Malformed):
        return headers
    if "host" not in headers:
        return Malformed(400, "the Host header is missing")
    length = _body_length(headers)
    if isinstance(length, Malformed):
        return length
    if headers.get("expect", "100-continue").lower() != "100-continue":
        return Malformed(417, "only the expectation 100-continue is known")
    return Head(
        request[1].decode("ascii"),
        request[2].partition(b"?")[0].decode("ascii"),
        headers,
        length,
        keep_alive="close" not in headers.get("connection", "").lower(),
        expects_continue="expect" in headers,
    )


def _parse_headers(lines: list[bytes]) -> dict[str, str] | Malformed:
    if len(lines) > HEADER_COUNT_LIMIT:
        return Malformed(431, f"more than {HEADER_COUNT_LIMIT} headers")
    headers: dict[str, str] = {}
    for line in lines:
        field, colon, content = line.partition(b":")
        if not colon or _TOKEN.fullmatch(field) is None or _CONTROL.search(content) is not None:
            return Malformed(400, "malformed header")
        name, value = field.decode("ascii").lower(), content.strip(b" \t").decode("latin-1")
        if name not in headers:
            headers[name] = value
        elif name in _SINGLE or name.startswith("mcp-"):
            return Malformed(400, f"the header {name} is there twice")
        else:
            headers[name] += f", {value}"
    return headers


def _body_length(headers: Mapping[str, str]) -> int | Malformed | None:
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if length is not None:
            return Malformed(400, "both Content-Length and Transfer-Encoding")
        return None if coding.lower() == "chunked" else Malformed(501, "only the transfer coding chunked is known")
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit() and len(length) <= 15):
        return Malformed(400, "malformed Content-Length")
    return int(length)


class FixedBody:
    """A body of declared length."""

    def __init__(self, length: int) -> None:
        self._length = length

    def feed(self, buffer: bytearray) -> bytes | Malformed | None:
        """Take the body off the front of the buffer once it is there."""
        if len(buffer) < self._length:
            return None
        body = bytes(buffer[: self._length])
        del buffer[: self._length]
        return body


class ChunkedBody:
    """A chunked body (RFC 9112 §7.1) of at most `limit` bytes; extensions and trailers are read and dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()
        self._pending: int | None = None

    def feed(self, buffer: bytearray) -> bytes | Malformed | None:
        """Take what is complete off the front of the buffer; return the body after its last chunk."""
        while self._pending != 0:
            before = len(buffer)
            fault = self._take_size(buffer) if self._pending is None else self._take_chunk(buffer, self._pending)
            if fault is not None or len(buffer) == before:
                return fault
        return self._take_trailers(buffer)

    def _take_size(self, buffer: bytearray) -> Malformed | None:
        end = buffer.find(b"\r\n", 0, _CHUNK_LINE_LIMIT)
        if end < 0:
            return Malformed(400, "malformed chunk") if len(buffer) >= _CHUNK_LINE_LIMIT else None
        line = _CHUNK_SIZE.fullmatch(buffer[:end])
        if line is None:
            return Malformed(400, "malformed chunk")
        self._pending = int(line[1], 16)
        if len(self._body) + self._pending > self._limit:
            return Malformed(413, f"the body is larger than {self._limit} bytes")
        del buffer[: end + 2]
        return None

    def _take_chunk(self, buffer: bytearray, size: int) -> Malformed | None:
        if len(buffer) < size + 2:
            return None
        if buffer[size : size + 2] != b"\r\n":
            return Malformed(400, "malformed chunk")
        self._body += buffer[:size]
        del buffer[: size + 2]
        self._pending = None
        return None

    def _take_trailers(self, buffer: bytearray) -> bytes | Malformed | None:
        end = 0 if buffer.startswith(b"\r\n") else buffer.find(HEAD_END, 0, _TRAILER_LIMIT)
        if end < 0:
            return Malformed(431, "trailers too large") if len(buffer) >= _TRAILER_LIMIT else None
        del buffer[: end + (len(HEAD_END) if end else 2)]
        return bytes(self._body)
