"""HTTP+SSE as a transport: one stream that a GET opens, on it an address to POST to, and every answer on that stream.

Invariants:

- A message is sent once. When the stream ends, so do the calls under way, and it is never used again.
- The address is of the server's own origin, under the same guard: the credential goes nowhere else.
- What is held is bounded: an event, what a call has been told and not taken yet, the calls under way, our answers to the server.

Source: specification 2024-11-05, transports, "HTTP with SSE".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urljoin

from wharfinger_mcp import exchange, jsonrpc, media_type, notification
from wharfinger_mcp.endpoint import Endpoint, parse_endpoint
from wharfinger_mcp.errors import (
    BusyError,
    InterruptedCallError,
    MisconfiguredError,
    NotMcpError,
    ProtocolError,
    TimedOutError,
    TooLargeError,
    UnreachableError,
    UpstreamError,
    refusal,
)
from wharfinger_mcp.exchange import Bounds, Listener, OnMessage, Outcome, Outgoing
from wharfinger_mcp.http_answer import Answer
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import Batch, Id, Malformed, Message, Notification, Request, Response
from wharfinger_mcp.mailbox import Mailbox
from wharfinger_mcp.sse import Event, EventStream, EventTooLargeError

MAX_CALLS: Final = 256
"""Under way on one stream."""
MAX_REPLIES: Final = 16
"""Of ours to the server under way; a server that asks faster gets none."""
EVENT_BYTES: Final = 16 * 1024 * 1024
ENDPOINT_SECONDS: Final = 10.0
STREAM_SECONDS: Final = 86_400.0
"""How long a stream is kept: a server that is gone without a word is noticed then."""
_OF_NO_CALL: Final = notification.LISTS_CHANGED | {notification.UPDATED}
"""Notifications about the server, whatever calls are under way."""
_REPLY_SECONDS: Final = 10.0
_REPLY_BYTES: Final = 64 * 1024
_STREAM_BYTES: Final = 1 << 48
_ENDED: Final = "the server ended the stream that its answers come on"


async def open_stream(client: HttpClient, endpoint: Endpoint, headers: Mapping[str, str], bounds: Bounds) -> HttpSse:
    """Return the transport, once the server has named the address to POST to.

    Raises UpstreamError: RefusedError or NotMcpError where there is no such stream.
    """
    loop = asyncio.get_running_loop()
    head = endpoint.request_head("GET", {"Accept": media_type.EVENT_STREAM}, headers, 0)
    try:
        async with asyncio.timeout_at(min(bounds.deadline, loop.time() + ENDPOINT_SECONDS)):
            answer = await client.send(endpoint, head, b"", deadline=loop.time() + STREAM_SECONDS, limit=_STREAM_BYTES)
            try:
                events = EventStream(EVENT_BYTES)
                first, *more = await _begun(answer, endpoint, events)
                return HttpSse(client, _address(endpoint, first), headers, (answer, events, more))
            except BaseException:
                answer.close()
                raise
    except TimeoutError:
        raise TimedOutError("the server opened no stream, or named no endpoint on it, in time") from None


class HttpSse:
    """See `exchange.Transport`. It keeps the header fields that it was opened with, for what the server asks of us."""

    is_session = True

    def __init__(
        self, client: HttpClient, address: Endpoint, headers: Mapping[str, str], stream: tuple[Answer, EventStream, list[Event]]
    ) -> None:
        self._client = client
        self._address = address
        self._headers = headers
        self._calls: dict[Id, Mailbox] = {}
        self._listeners: set[Mailbox] = set()
        self._replies: set[asyncio.Task[None]] = set()
        self._answer = stream[0]
        self._reading = asyncio.create_task(self._read(*stream))
        self._reading.add_done_callback(self._finished)
        self.is_open = True

    def __repr__(self) -> str:
        return f"HttpSse({self._address.host})"

    async def post(self, outgoing: Outgoing, bounds: Bounds, on_message: OnMessage | None = None) -> Outcome:
        """Send a message, and return what came to it on the stream."""
        if outgoing.id is None:
            return await self._send(outgoing, bounds)
        if not self.is_open:
            raise UnreachableError(f"{_ENDED}: try again")
        if len(self._calls) >= MAX_CALLS:
            raise BusyError(f"{MAX_CALLS} calls to the server are under way: try again later")
        box = self._calls[outgoing.id] = Mailbox(bounds.answer_bytes, hears=on_message is not None)
        try:
            outcome = await self._send(outgoing, bounds)
            return outcome if outcome.refusal is not None else Outcome(200, await _response(box, bounds, on_message), None, None)
        finally:
            del self._calls[outgoing.id]

    async def stream(self, outgoing: Outgoing, bounds: Bounds, listener: Listener) -> None:
        """Follow what belongs to no call, until the stream ends."""
        box = Mailbox(bounds.answer_bytes, hears=True)
        self._listeners.add(box)
        listener.on_open()
        try:
            while self.is_open:
                message = await box.take(bounds.deadline)
                if message is None:
                    return
                if not isinstance(message, Response):
                    await listener.on_message(message)
        finally:
            self._listeners.discard(box)

    async def end(self, outgoing: Outgoing, bounds: Bounds) -> None:
        """Close the stream, which ends the session."""
        self.drop()

    def drop(self) -> None:
        """Close the stream; calls under way fail."""
        self.is_open = False
        self._reading.cancel()

    async def _send(self, outgoing: Outgoing, bounds: Bounds) -> Outcome:
        return await exchange.post(self._client, self._address, Outgoing(outgoing.body, None, outgoing.own, outgoing.headers), bounds)

    async def _read(self, answer: Answer, events: EventStream, arrived: Iterable[Event]) -> str:
        """Pass on what comes, and return why nothing more does."""
        try:
            self._take(arrived)
            while piece := await answer.turn():
                self._take(_fed(events, piece))
        except UpstreamError as error:
            return f"the stream that the server's answers come on broke: {error.message}"
        return _ENDED

    def _finished(self, reading: asyncio.Task[str]) -> None:
        self.is_open = False
        self._answer.close()
        why = "the session was closed" if reading.cancelled() else reading.result()
        for box in (*self._calls.values(), *self._listeners):
            box.end(why)

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.type == "message" and event.data:
                message = jsonrpc.parse(event.data)
                if isinstance(message, Malformed):
                    raise ProtocolError(f"an event is no JSON-RPC message: {message.message}")
                for one in message.messages if isinstance(message, Batch) else (message,):
                    self._pass_on(one, len(event.data))

    def _pass_on(self, message: Message, size: int) -> None:
        match message:
            case Response():
                box = None if message.id is None else self._calls.get(message.id)
                # Whoever asked may have stopped waiting.
                if box is not None:
                    box.put(message, size)
            case Request():
                self._respond(message, size)
            case Notification(method=notification.PROGRESS | notification.CANCELLED):
                # Its token or id says which call it belongs to, and the calls know theirs.
                for box in self._calls.values():
                    box.tell(message, size)
            case _:
                # What its call hears it does not hear again by way of who listens for what belongs to none.
                is_heard = message.method not in _OF_NO_CALL and any(box.tell(message, size) for box in self._only_call())
                for box in () if is_heard else tuple(self._listeners):
                    box.tell(message, size)

    def _only_call(self) -> tuple[Mailbox, ...]:
        """Return the call that something without a name belongs to; of several, nobody knows which."""
        return tuple(self._calls.values()) if len(self._calls) == 1 else ()

    def _respond(self, request: Request, size: int) -> None:
        if request.method == "ping":
            self._reply(jsonrpc.response_bytes(request.id, Response(request.id, {})))
        elif not any(box.tell(request, size) for box in self._only_call()):
            self._reply(jsonrpc.error_bytes(request.id, jsonrpc.METHOD_NOT_FOUND, "there is nobody here to ask"))

    def _reply(self, body: bytes) -> None:
        if len(self._replies) < MAX_REPLIES:
            task = asyncio.create_task(self._send_reply(body))
            self._replies.add(task)
            task.add_done_callback(self._replies.discard)

    async def _send_reply(self, body: bytes) -> None:
        bounds = Bounds(asyncio.get_running_loop().time() + _REPLY_SECONDS, _REPLY_BYTES)
        with suppress(UpstreamError):
            await self._send(Outgoing(body, None, {}, self._headers), bounds)


async def _response(box: Mailbox, bounds: Bounds, on_message: OnMessage | None) -> Response:
    while True:
        message = await box.take(bounds.deadline)
        if message is None:
            raise InterruptedCallError(box.why)
        if isinstance(message, Response):
            return message
        if on_message is not None:
            await on_message(message)


async def _begun(answer: Answer, endpoint: Endpoint, events: EventStream) -> list[Event]:
    """Return the first events, of which there is at least one."""
    if answer.status != 200:
        raise refusal(answer.status, "GET", endpoint.path, answer.headers.get("www-authenticate"))
    if media_type.essence(answer.headers.get("content-type")) != media_type.EVENT_STREAM:
        raise NotMcpError("the answer to GET is no event stream: is the path right?")
    while piece := await answer.turn():
        if arrived := _fed(events, piece):
            return arrived
    raise NotMcpError("the stream ended without an endpoint event")


def _address(endpoint: Endpoint, first: Event) -> Endpoint:
    """Return where to POST to."""
    if first.type != "endpoint":
        raise NotMcpError("the stream does not begin with an endpoint event")
    origin = endpoint.origin
    base = f"{'https' if origin.tls else 'http'}://{endpoint.host}{endpoint.target}"
    try:
        url = urljoin(base, first.data.decode())
        address = parse_endpoint(url, ca_bundle=origin.ca_bundle, guard=origin.guard)
    except (ValueError, MisconfiguredError):
        raise ProtocolError("the endpoint event holds no URL") from None
    if address.origin != origin:
        raise ProtocolError("the endpoint event names another origin than the stream's, where the credential must not go")
    return address


def _fed(events: EventStream, piece: bytes) -> list[Event]:
    try:
        return events.feed(piece)
    except EventTooLargeError as error:
        raise TooLargeError(str(error)) from None
