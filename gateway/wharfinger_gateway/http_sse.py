"""Clients of 2024-11-05: a stream that a GET opens, and messages that are posted beside it. The stream is the session.

Source: MCP 2024-11-05, transports, "HTTP with SSE".
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from functools import partial
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from wharfinger_gateway import legacy
from wharfinger_gateway.answer import Answerer
from wharfinger_gateway.asking import legacy_key
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.incoming import Channel, Incoming, Reply
from wharfinger_gateway.limits import Limits
from wharfinger_gateway.list_changes import ListChanges
from wharfinger_gateway.listeners import Listener
from wharfinger_gateway.question import Question, Within, take
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.replica import Replica
from wharfinger_gateway.reply import NOTHING, UNANSWERED, Answer, result
from wharfinger_gateway.server_info import TOLD
from wharfinger_gateway.session import Seal, Session
from wharfinger_gateway.subscription import announcement
from wharfinger_mcp import jsonrpc, media_type, revision
from wharfinger_mcp.jsonrpc import Batch, Malformed, Message, Request
from wharfinger_mcp.revision import Rejection

STREAM_PATH: Final = "/sse"
MESSAGES_PATH: Final = "/sse/messages"
VERSION: Final = "2024-11-05"
MAX_UNDER_WAY: Final = 64
"""Requests of one stream at once."""
_log = logging.getLogger(__name__)


class HttpSse:
    """Serves streams and the messages beside them. Belongs to one event loop."""

    def __init__(self, replica: Replica, answerer: Answerer, limits: Limits) -> None:
        self._replica = replica
        self._answerer = answerer
        self._limits = limits
        self._streams: dict[str, tuple[Channel, set[asyncio.Task[None]]]] = {}

    async def serve(self, incoming: Incoming, permit: Permit, seal: Seal) -> Reply | Refusal:
        """Serve a request to one of the two paths."""
        if incoming.path.endswith(MESSAGES_PATH):
            return await self._post(incoming, permit, seal) if incoming.verb == "POST" else Refusal(Reason.VERB_UNKNOWN)
        if incoming.verb != "GET":
            return Refusal(Reason.VERB_UNKNOWN)
        if not media_type.accepts(incoming.headers, media_type.EVENT_STREAM):
            return Refusal(Reason.STREAM_NOT_ACCEPTED)
        # Its first event is said before it is listened to.
        return self._replica.listeners.refusal(permit) or await self._open(incoming, permit, seal)

    async def _open(self, incoming: Incoming, permit: Permit, seal: Seal) -> Reply | Refusal:
        now = self._replica.clock()
        nonce = secrets.token_urlsafe(12)
        session = Session(permit.gateway.id, permit.principal.digest, VERSION, int(now), nonce, self._replica.sessions.replica, bound=True)
        state = self._replica.sessions.begin(session, {}, now)
        under_way: set[asyncio.Task[None]] = set()
        self._streams[session.nonce] = incoming.channel, under_way
        try:
            path = urlsplit(permit.snapshot.public_url).path + incoming.path.removesuffix(STREAM_PATH) + MESSAGES_PATH
            endpoint = f"{path}?session={seal.seal(session)}"
            await incoming.channel.event("endpoint", endpoint.encode())
            listener = Listener(incoming, announcement, state.updated)
            state.listen(listener)
            incoming.channel.on_leave(partial(_cancel, under_way))
            changes = ListChanges(listener, Within(session, state), TOLD, self._replica.upstreams)
            try:
                reply = await self._replica.listeners.serve(listener, permit, TOLD) or UNANSWERED
            finally:
                changes.end()
            # Where it is this program that ends the stream, its calls end first.
            while under_way:
                await asyncio.wait(tuple(under_way))
            return reply
        finally:
            del self._streams[session.nonce]
            self._replica.sessions.end(session)
            self._replica.upstreams.leave(legacy_key(session))

    async def _post(self, incoming: Incoming, permit: Permit, seal: Seal) -> Reply | Refusal:
        now = self._replica.clock()
        session = legacy.opened(permit, parse_qs(incoming.query).get("session", [""])[0], seal, now)
        if isinstance(session, Refusal):
            return session
        body = await incoming.read(permit.gateway.request_bytes)
        if isinstance(body, Refusal):
            return body
        reply = await self._replica.hops.in_session(incoming, body, session, is_new=False)
        if reply is not None:
            return reply
        channel, under_way = self._streams.get(session.nonce, (None, set()))
        if channel is None:
            return Refusal(Reason.SESSION_UNKNOWN)
        message = jsonrpc.parse(body)
        if isinstance(message, Malformed):
            return Refusal.of(Rejection(400, message.code, message.message), message.id)
        if len(under_way) >= MAX_UNDER_WAY:
            return Refusal(Reason.SESSION_BUSY)
        excess = self._limits.more_in(message, permit, time.perf_counter())
        if excess is not None:
            return excess
        rules = Within(session, self._replica.sessions.of(session, now))
        question = Question(permit, message, msgspec.structs.replace(incoming, channel=channel), rules, body, modern=False)
        task = asyncio.create_task(self._answer_on(channel, question, message))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        return NOTHING

    async def _answer_on(self, channel: Channel, question: Question, message: Message | Batch) -> None:
        """Answer the messages of one body, in order, on the stream."""
        started = time.perf_counter()
        for one in message.messages if isinstance(message, Batch) else (message,):
            if not isinstance(one, Request):
                take(question, one)
                continue
            try:
                answer = await self._answer(question, one, started)
            except Exception:  # noqa: BLE001 - the last edge: see pipeline
                _log.exception("a request failed inside the gateway")
                refusal = Refusal(Reason.INTERNAL)
                answer = Answer(jsonrpc.error_bytes(one.id, refusal.code, refusal.message))
            if answer.body:
                await channel.say(answer.body)

    async def _answer(self, question: Question, request: Request, started: float) -> Answer:
        if request.method != "initialize" or not isinstance(question.rules, Within):
            return await self._answerer.answer(question, request, started)
        agreed = legacy.initialize(question.permit, request, self._replica.clock(), legacy.Fresh("", ""), (*revision.LEGACY, VERSION))
        if isinstance(agreed, Refusal):
            return Answer(jsonrpc.error_bytes(request.id, agreed.code, agreed.message))
        question.rules.state.capabilities = legacy.capabilities(request)
        return result(request.id, legacy.initialize_result(question.permit, agreed))


def _cancel(under_way: set[asyncio.Task[None]]) -> None:
    for task in tuple(under_way):
        task.cancel()
