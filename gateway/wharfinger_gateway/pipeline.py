"""The spine: one HTTP request from its headers to its reply.

    admit (identify ▶ route ▶ authorize) ▶ receive (parse) ▶ answer (resolve ▶ forward ▶ record)

Each step gives a value or a Refusal, and a Refusal ends it. A request reads what is in force once; its permit carries it along.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable

from wharfinger_gateway import legacy
from wharfinger_gateway.admit import admit
from wharfinger_gateway.answer import Answerer
from wharfinger_gateway.asking import legacy_key
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.catalog import Catalogs
from wharfinger_gateway.conversation import Conversations
from wharfinger_gateway.current import Current
from wharfinger_gateway.forward import Servers
from wharfinger_gateway.http_sse import HttpSse
from wharfinger_gateway.incoming import Incoming, Reply
from wharfinger_gateway.listeners import Listener, Listeners
from wharfinger_gateway.question import Opening, take
from wharfinger_gateway.receive import SealedSessions, receive
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.reply import NOTHING, UNANSWERED, answered, batch_answered, refused_whole, result
from wharfinger_gateway.server_info import TOLD
from wharfinger_gateway.session import Seal
from wharfinger_gateway.sessions import Sessions
from wharfinger_gateway.subscription import announcement
from wharfinger_gateway.telemetry import Telemetry
from wharfinger_gateway.upstreams import Upstreams
from wharfinger_mcp import header, media_type
from wharfinger_mcp.jsonrpc import Batch, Request

_log = logging.getLogger(__name__)


class Pipeline:
    """Serves requests from what is in force."""

    def __init__(
        self, current: Current, upstreams: Upstreams, telemetry: Telemetry, *, loopback: bool, clock: Callable[[], float] = time.time
    ) -> None:
        self._current = current
        self._telemetry = telemetry
        self._loopback = loopback
        self._clock = clock
        catalogs = Catalogs()
        self._sessions = Sessions()
        self._listeners = Listeners(self._admit, lambda permit: catalogs.of(permit).offer)
        self._upstreams = upstreams
        self._conversations = Conversations()
        self._answerer = Answerer(catalogs, Servers(upstreams, self._conversations), self._listeners, telemetry)
        self._http_sse = HttpSse(self._sessions, self._listeners, self._answerer, upstreams, clock)
        current.on_change = self._listeners.look

    async def serve(self, incoming: Incoming) -> Reply:
        """Answer one HTTP request, whatever it is."""
        try:
            outcome = await self._serve(incoming)
        except Exception:  # noqa: BLE001 - the last edge: a fault of ours is logged, and the caller learns no more than that
            _log.exception("a request failed inside the gateway")
            outcome = Refusal(Reason.INTERNAL)
        if isinstance(outcome, Reply):
            return outcome
        self._telemetry.refused(outcome.reason)
        return refused_whole(outcome)

    def drain(self) -> None:
        """End the streams on which nothing is awaited, and calls that wait for answers: their clients come back to others."""
        self._listeners.close()
        self._conversations.close()

    def _admit(self, incoming: Incoming) -> Permit | Refusal:
        return admit(incoming, self._current.snapshot, self._current.tokens, self._clock(), loopback=self._loopback)

    async def _serve(self, incoming: Incoming) -> Reply | Refusal:
        started = time.perf_counter()
        permit = self._admit(incoming)
        if isinstance(permit, Refusal):
            return permit
        seal = Seal(permit.snapshot.session_key)
        if not incoming.path.endswith(permit.gateway.id):
            return await self._http_sse.serve(incoming, permit, seal)
        if incoming.verb != "POST":
            return await self._without_message(incoming, permit, seal)
        question = await receive(incoming, permit, SealedSessions(seal, self._sessions), self._clock())
        if isinstance(question, Refusal):
            return question
        if isinstance(question.rules, Opening):
            return self._begin_session(permit, question.rules.request, seal)
        if isinstance(question.message, Batch):
            asked = [one for one in question.message.messages if isinstance(one, Request)]
            for one in question.message.messages:
                take(question, one)
            return batch_answered(await asyncio.gather(*(self._answerer.answer(question, one, started) for one in asked)))
        if isinstance(question.message, Request):
            return answered(await self._answerer.answer(question, question.message, started))
        take(question, question.message)
        return NOTHING

    def _begin_session(self, permit: Permit, request: Request, seal: Seal) -> Reply | Refusal:
        now = self._clock()
        session = legacy.initialize(permit, request, now, secrets.token_urlsafe(12))
        if isinstance(session, Refusal):
            return session
        self._sessions.begin(session, legacy.capabilities(request), now)
        answer = result(request.id, legacy.initialize_result(permit, session))
        return answered(answer, {header.SESSION_ID: seal.seal(session)})

    async def _without_message(self, incoming: Incoming, permit: Permit, seal: Seal) -> Reply | Refusal:
        """Serve the verbs of legacy sessions: GET opens a stream, DELETE takes leave."""
        if incoming.verb not in ("GET", "DELETE") or not incoming.headers.getall(header.SESSION_ID, []):
            return Refusal(Reason.VERB_UNKNOWN)
        now = self._clock()
        session = legacy.session_of(permit, incoming.headers, seal, now)
        if isinstance(session, Refusal):
            return session
        if incoming.verb == "DELETE":
            # The id is no state that could be removed, and lives on until nobody sends it.
            self._sessions.end(session)
            self._upstreams.leave(legacy_key(session))
            return Reply(204)
        if not media_type.accepts(incoming.headers, media_type.EVENT_STREAM):
            return Refusal(Reason.STREAM_NOT_ACCEPTED)
        listener = Listener(incoming, announcement)
        self._sessions.of(session, now).listen(listener.end)
        return await self._listeners.serve(listener, permit, TOLD) or UNANSWERED
