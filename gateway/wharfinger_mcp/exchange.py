"""One message to a server and what it answers: a JSON body or a stream of events.

Invariants: a message is sent once, whatever happens; the response returned is the one to the message sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

import msgspec

from wharfinger_mcp import header, jsonrpc, media_type
from wharfinger_mcp.endpoint import Endpoint
from wharfinger_mcp.errors import (
    CutStreamError,
    InterruptedCallError,
    NotMcpError,
    NotSentError,
    ProtocolError,
    RefusedError,
    TooLargeError,
    refusal,
)
from wharfinger_mcp.http_answer import Answer
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import Batch, Id, Malformed, Message, Notification, Request, Response
from wharfinger_mcp.sse import EventStream, EventTooLargeError

OnMessage = Callable[[Request | Notification], Awaitable[None]]
"""Takes what a server says before it answers: progress, log messages, questions. Holding it up holds the server up."""

MAX_EVENT_ID_CHARS: Final = 1024
_CUT: Final = "the server ended its stream without the response"

_POST: Final = {"Content-Type": media_type.JSON, "Accept": media_type.ACCEPT_BOTH}
_STREAM: Final = {"Accept": media_type.EVENT_STREAM}


class Listener(msgspec.Struct, frozen=True):
    """Who follows a stream."""

    on_open: Callable[[], None]
    on_message: OnMessage


class Outgoing(msgspec.Struct, frozen=True):
    """A message as it is sent."""

    body: bytes
    id: Id | None
    """Of a request; None for a notification, which no response is awaited for."""
    own: Mapping[str, str]
    """Header fields of the protocol."""
    headers: Mapping[str, str]
    """Header fields of the caller, the credential among them: never logged, never shown."""

    def __repr__(self) -> str:
        return f"Outgoing(id={self.id!r})"


class Bounds(msgspec.Struct, frozen=True):
    """Until when (loop time) and up to how many bytes an answer is awaited."""

    deadline: float
    answer_bytes: int


class Outcome(msgspec.Struct, frozen=True):
    """How the server answered."""

    status: int
    response: Response | None
    """None for a notification, and for an HTTP error without a JSON-RPC message."""
    session_id: str | None
    refusal: RefusedError | None
    """The error to raise where there is no response and should be one."""

    def __repr__(self) -> str:
        return f"Outcome(status={self.status})"


class Transport(Protocol):
    """How the messages of one session get to a server and its answers back."""

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent; never again once they cannot."""

    @property
    def is_session(self) -> bool:
        """Whether it is the session itself, with or without an id."""

    def post(self, outgoing: Outgoing, bounds: Bounds, on_message: OnMessage | None = None) -> Awaitable[Outcome]:
        """Send a message and return the outcome; raises UpstreamError where nothing usable comes back."""

    def stream(self, outgoing: Outgoing, bounds: Bounds, listener: Listener) -> Awaitable[None]:
        """Follow what the server says unasked, until it ends that; raises UpstreamError, RefusedError where it has no such stream."""

    async def end(self, outgoing: Outgoing, bounds: Bounds) -> None:
        """End the session; the server is told as far as it listens."""

    def drop(self) -> None:
        """Let go of what the session holds, without a word to the server."""


async def post(client: HttpClient, endpoint: Endpoint, outgoing: Outgoing, bounds: Bounds, on_message: OnMessage | None = None) -> Outcome:
    """Send a message and return the outcome; any HTTP status is one.

    Raises UpstreamError where nothing usable comes back; RefusedError never.
    """
    head = endpoint.request_head("POST", outgoing.own, outgoing.headers, len(outgoing.body), _POST)
    answer = await client.send(endpoint, head, outgoing.body, deadline=bounds.deadline, limit=bounds.answer_bytes)
    try:
        response = await _response(answer, outgoing.id, bounds, on_message)
    except BaseException:
        answer.close()
        raise
    answer.close(finishing=True)
    refused = None
    if response is None and not 200 <= answer.status < 300:
        refused = refusal(answer.status, "POST", endpoint.path, answer.headers.get("www-authenticate"))
    return Outcome(answer.status, response, answer.headers.get("mcp-session-id"), refused)


async def take_up(client: HttpClient, endpoint: Endpoint, outgoing: Outgoing, bounds: Bounds, on_message: OnMessage | None) -> Response:
    """Return the response to a request that was sent before, from the stream after the event that `Last-Event-ID` among `own` names.

    Raises UpstreamError, CutStreamError where that stream ends too early as well, but never one that says that the request was not sent.
    """
    head = endpoint.request_head("GET", outgoing.own, outgoing.headers, 0, _STREAM)
    try:
        answer = await client.send(endpoint, head, b"", deadline=bounds.deadline, limit=bounds.answer_bytes)
    except NotSentError as error:
        raise InterruptedCallError(f"{_CUT}, and then: {error.message}") from None
    try:
        response = await _taken_up(answer, outgoing, bounds, on_message)
    except BaseException:
        answer.close()
        raise
    answer.close(finishing=True)
    return response


async def _taken_up(answer: Answer, outgoing: Outgoing, bounds: Bounds, on_message: OnMessage | None) -> Response:
    if answer.status != 200 or media_type.essence(answer.headers.get("content-type")) != media_type.EVENT_STREAM:
        raise InterruptedCallError(f"{_CUT}, and answered HTTP {answer.status} to GET")
    if outgoing.id is None:
        raise ProtocolError("a notification has no response")
    return await _streamed(answer, outgoing.id, bounds, on_message, outgoing.own[header.LAST_EVENT_ID])


async def delete(client: HttpClient, endpoint: Endpoint, outgoing: Outgoing, bounds: Bounds) -> int:
    """Send a DELETE, which ends a legacy session, and return its HTTP status."""
    head = endpoint.request_head("DELETE", outgoing.own, outgoing.headers, 0)
    answer = await client.send(endpoint, head, b"", deadline=bounds.deadline, limit=bounds.answer_bytes)
    answer.close(finishing=True)
    return answer.status


async def stream(client: HttpClient, endpoint: Endpoint, outgoing: Outgoing, bounds: Bounds, listener: Listener) -> None:
    """Follow the stream that a GET opens in a legacy session, until it ends.

    Raises UpstreamError, RefusedError among them.
    """
    head = endpoint.request_head("GET", outgoing.own, outgoing.headers, 0, _STREAM)
    answer = await client.send(endpoint, head, b"", deadline=bounds.deadline, limit=bounds.answer_bytes)
    try:
        if answer.status != 200:
            raise refusal(answer.status, "GET", endpoint.path, answer.headers.get("www-authenticate"))
        if media_type.essence(answer.headers.get("content-type")) != media_type.EVENT_STREAM:
            raise NotMcpError("the answer to GET is no event stream: is the path right?")
        listener.on_open()
        events = EventStream(bounds.answer_bytes)
        while piece := await answer.turn():
            for message in _messages(events, piece):
                if isinstance(message, Request | Notification):
                    await listener.on_message(message)
    finally:
        answer.close()


def _messages(events: EventStream, piece: bytes) -> Iterator[Message | Batch | Malformed]:
    try:
        arrived = events.feed(piece)
    except EventTooLargeError as error:
        raise TooLargeError(str(error)) from None
    return (jsonrpc.parse(event.data) for event in arrived if event.type == "message" and event.data)


async def _response(answer: Answer, request_id: Id | None, bounds: Bounds, on_message: OnMessage | None) -> Response | None:
    content_type = media_type.essence(answer.headers.get("content-type"))
    if 300 <= answer.status < 400:
        raise NotMcpError(f"the server redirects (HTTP {answer.status}){_target(answer)}: redirects are not followed, use the final URL")
    if request_id is None:
        return None
    if answer.status >= 400:
        return await _error_response(answer, request_id, content_type)
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise NotMcpError("the answer is compressed although that was not asked for")
    if content_type == media_type.EVENT_STREAM:
        return await _streamed(answer, request_id, bounds, on_message)
    if content_type not in (media_type.JSON, ""):
        raise NotMcpError(f"the answer is {content_type[:64]!r} where MCP has JSON or an event stream: is the path right?")
    body = await answer.body()
    if not body:
        raise ProtocolError(f"the server answered a request with HTTP {answer.status} and no message")
    response = _own(jsonrpc.parse(body), request_id)
    if response is None:
        raise ProtocolError("the answer to a request is no JSON-RPC response with its id")
    return response


async def _error_response(answer: Answer, request_id: Id, content_type: str) -> Response | None:
    """Return the JSON-RPC error of an HTTP error; its id may be missing where the request was refused unread."""
    if content_type != media_type.JSON:
        return None
    message = jsonrpc.parse(await answer.body())
    if isinstance(message, Response) and message.error is not None:
        return Response(request_id, error=message.error)
    return None


async def _streamed(answer: Answer, request_id: Id, bounds: Bounds, on_message: OnMessage | None, after: str | None = None) -> Response:
    events = EventStream(bounds.answer_bytes)
    events.last_id = after
    try:
        while piece := await answer.turn():
            for message in _messages(events, piece):
                response = _own(message, request_id)
                if response is not None:
                    return response
                if isinstance(message, Malformed):
                    raise ProtocolError(f"an event of the answer is no JSON-RPC message: {message.message}")
                if on_message is not None and isinstance(message, Request | Notification):
                    await on_message(message)
    except InterruptedCallError as error:
        raise _cut(events, error.message) from None
    raise _cut(events, _CUT)


def _cut(events: EventStream, why: str) -> InterruptedCallError:
    event_id = events.last_id
    if not event_id or len(event_id) > MAX_EVENT_ID_CHARS or not header.is_field_value(event_id):
        return InterruptedCallError(why)
    return CutStreamError(why, event_id, events.retry_ms)


def _own(message: Message | Batch | Malformed, request_id: Id) -> Response | None:
    """Return the response to our request, alone or in a batch as revision 2025-03-26 allows."""
    for one in message.messages if isinstance(message, Batch) else (message,):
        if isinstance(one, Response) and one.id == request_id:
            return one
    return None


def _target(answer: Answer) -> str:
    """Return where a redirect leads, for people: without a query, and only if it is plain."""
    try:
        parts = urlsplit(answer.headers.get("location", ""))
        shown = f"{parts.scheme}://{parts.hostname}{parts.path}" if parts.hostname else parts.path
    except ValueError:
        return ""
    return f" to {shown}" if shown.isascii() and shown.isprintable() and 0 < len(shown) <= 256 else ""
