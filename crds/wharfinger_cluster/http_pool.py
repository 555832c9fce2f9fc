"""Requests to one server over kept HTTP/1.1 connections: all that an API server is asked, but for watches and for what goes through a proxy.

A general HTTP client takes three times the CPU time for each, and requests are most of what the operator does.

Invariants: a connection carries one request and its answer at a time; what was sent is sent again only where it reads, on a connection
that the server had closed meanwhile; what arrives while nothing is asked ends the connection; no error shows what was sent.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple, cast

import httptools
from yarl import URL

from wharfinger_cluster.connection import USER_AGENT, Login
from wharfinger_cluster.errors import LoginError

CONNECTIONS: Final = 32
"""At most; who needs another one waits."""
SECONDS: Final = 60.0
"""For one answer to be whole, once it is asked for."""
CONNECT_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 15.0
"""How long a connection is kept that nobody needs: much shorter than servers and what stands before them keep it."""
ANSWER_LIMIT: Final = 512 * 2**20
"""Bytes of a body: a page of a list whose objects are as large as etcd takes them."""


class Answer(NamedTuple):
    """What the server said."""

    status: int
    headers: dict[str, str]
    """Only `Retry-After`, if it is there."""
    body: bytes


class ClosedError(ConnectionError):
    """The connection ended before anything of the answer came."""


class NoAnswerError(ConnectionError):
    """What came is not the whole of an HTTP/1.1 answer."""


class HttpPool:
    """The connections, for the life of the process or until `close`. Belongs to one event loop."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._url = _url(login.server)
        self._host, self._port = self._url.host or "", self._url.port or 0
        self._root = self._url.raw_path.rstrip("/")
        fields = [("Host", self._url.host_port_subcomponent), ("User-Agent", USER_AGENT), ("Accept", "*/*"), *login.headers]
        self._fields = "".join(f"\r\n{name}: {value}" for name, value in fields)
        """Of every request."""
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._open: set[_Connection] = set()
        self._idle: list[_Connection] = []
        """By the time since when: the first one for the longest."""

    async def ask(self, method: str, target: str, content: bytes | None = None, content_type: str = "") -> Answer:
        """Send one request for a path with its query, and return the answer. Raises OSError, TimeoutError, LoginError."""
        request = self._request(method, target, content, content_type, await self._login.authorization())
        async with self._slots:
            if (kept := self._kept()) is not None:
                try:
                    return await self._exchange(kept, request)
                except ClosedError:
                    if method != "GET":
                        raise
            return await self._exchange(await self._connect(), request)

    def close(self) -> None:
        """Close all connections."""
        for connection in tuple(self._open):
            connection.abort()

    def _request(self, method: str, target: str, content: bytes | None, content_type: str, credential: str) -> bytes:
        if not (credential.isascii() and credential.isprintable()):
            raise LoginError("the credential for the API server is no header value: it has line breaks or other characters")
        who = f"\r\nAuthorization: {credential}" if credential else ""
        what = "" if content is None else f"\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}"
        return f"{method} {self._root}{target} HTTP/1.1{self._fields}{who}{what}\r\n\r\n".encode() + (content or b"")

    async def _exchange(self, connection: "_Connection", request: bytes) -> Answer:
        try:
            answer = await connection.ask(request)
        except BaseException:
            # Also where nobody waits any more: the answer that is still to come is nobody's.
            connection.abort()
            raise
        self._keep(connection)
        return answer

    def _kept(self) -> "_Connection | None":
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable and now - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.abort()
        return None

    def _keep(self, connection: "_Connection") -> None:
        if not connection.is_reusable:
            connection.abort()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        while self._idle and connection.idle_since - self._idle[0].idle_since >= IDLE_SECONDS:
            self._idle.pop(0).abort()
        self._idle.append(connection)

    async def _connect(self) -> "_Connection":
        tls = self._login.tls or True if self._url.scheme == "https" else None
        async with asyncio.timeout(CONNECT_SECONDS):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self._forget),
                self._host,
                self._port,
                ssl=tls,
                server_hostname=(self._login.tls_server_name or self._host) if tls else None,
            )
        self._open.add(connection)
        return connection

    def _forget(self, connection: "_Connection") -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)


def _url(server: str) -> URL:
    try:
        url = URL(server)
    except ValueError as error:
        raise LoginError(f"the API server's address is no URL: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise LoginError("the API server's address is no URL: it begins with https:// or http://, and names a host")
    return url


class _Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, on_lost: Callable[["_Connection"], None]) -> None:
        self.idle_since = 0.0
        self._on_lost = on_lost
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_last = False
        self._reset()

    def _reset(self) -> None:
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._heard = False
        self._has_head = False
        self._has_end = False
        """The body's end is told by its head, not by that of the connection (RFC 9112 section 6.3)."""

    @property
    def is_reusable(self) -> bool:
        """Tell whether another request may be sent."""
        return self._transport is not None and not self._is_last and not self._transport.is_closing()

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a request, and return what the answer will be."""
        loop = asyncio.get_running_loop()
        answer = self._answer = loop.create_future()
        self._timer = loop.call_later(SECONDS, self._fail, TimeoutError(f"no answer within {SECONDS:g} s"))
        self._reset()
        if self._transport is None or self._transport.is_closing():
            self._fail(ClosedError("the server had closed the connection"))
        else:
            self._transport.write(request)
        return answer

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came; where nothing was asked, it is nobody's."""
        if self._answer is None:
            self.abort()
            return
        self._heard = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._is_last = True
            self._fail(NoAnswerError("the answer is not HTTP/1.1"))

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is under way."""
        self._transport = None
        if exc is None and self._has_head and not self._has_end:
            self._complete()
        elif not self._heard:
            self._fail(ClosedError("the server closed the connection"))
        else:
            self._fail(NoAnswerError("the connection ended before the answer was whole"))
        self._on_lost(self)

    # The parser's side.

    def on_message_begin(self) -> None:
        """Note an answer that nobody asked for."""
        self._is_last = self._is_last or self._answer is None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take the few header fields that count."""
        match name.lower():
            case b"content-length" | b"transfer-encoding":
                self._has_end = True
            case b"retry-after":
                self._headers["Retry-After"] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note the head of the final answer."""
        self._has_head = self._parser.get_status_code() >= 200

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._pieces.append(piece)
        self._bytes += len(piece)
        if self._bytes > ANSWER_LIMIT:
            self._pieces.clear()
            self._fail(NoAnswerError(f"the answer has more than {ANSWER_LIMIT} bytes"))
            self.abort()

    def on_message_complete(self) -> None:
        """Hand the answer over, unless it is an interim one (1xx)."""
        if self._parser.get_status_code() >= 200:
            self._is_last = self._is_last or not self._parser.should_keep_alive()
            self._complete()

    def _complete(self) -> None:
        if answer := self._settled():
            answer.set_result(Answer(self._parser.get_status_code(), self._headers, b"".join(self._pieces)))

    def _fail(self, error: Exception) -> None:
        if answer := self._settled():
            answer.set_exception(error)

    def _settled(self) -> asyncio.Future[Answer] | None:
        """Return the answer that somebody still waits for; there is none any more after this."""
        answer, self._answer = self._answer, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return None if answer is None or answer.done() else answer
