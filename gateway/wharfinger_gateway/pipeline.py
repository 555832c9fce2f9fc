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
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.current import Current
from wharfinger_gateway.incoming import Incoming, Reply
from wharfinger_gateway.limits import Limits
from wharfinger_gateway.receive import Opening, receive
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.reply import NOTHING, answered, batch_answered, refused_whole, result
from wharfinger_gateway.session import Seal
from wharfinger_gateway.telemetry import Telemetry
from wharfinger_gateway.upstreams import Upstreams
from wharfinger_mcp import header
from wharfinger_mcp.jsonrpc import Batch, Request

_log = logging.getLogger(__name__)


class Pipeline:
    """Serves requests from what is in force."""

    def __init__(
        self, current: Current, upstreams: Upstreams, telemetry: Telemetry, *, loopback: bool, clock: Callable[[], float] = time.time
    ) -> None:
        self._current = current
        self._telemetry = telemetry
        self._limits = Limits()
        self._answerer = Answerer(upstreams, telemetry, self._limits)
        self._loopback = loopback
        self._clock = clock

    async def serve(self, incoming: Incoming) -> Reply:
        """Answer one HTTP request, whatever it is."""
        try:
            outcome = await self._serve(incoming)
        except Exception:  # noqa: BLE001 - the last edge: a fault of ours is logged, and the caller learns no more than that
            _log.exception("a request failed inside the gateway")
            outcome = Refusal(Reason.INTERNAL)
        if isinstance(outcome, Reply):
            return outcome
        self._telemetry.refused_whole(outcome, incoming.path)
        return refused_whole(outcome)

    async def _serve(self, incoming: Incoming) -> Reply | Refusal:
        started, now = time.perf_counter(), self._clock()
        permit = admit(incoming, self._current.snapshot, self._current.tokens, now, loopback=self._loopback)
        if isinstance(permit, Refusal):
            return permit
        excess = self._limits.request(permit, started)
        if excess is not None:
            return excess
        seal = Seal(permit.snapshot.session_key)
        if incoming.verb != "POST":
            return _end_session(incoming, permit, seal, now)
        question = await receive(incoming, permit, seal, now)
        if isinstance(question, Refusal):
            return question
        if isinstance(question.rules, Opening):
            return _begin_session(permit, question.rules.request, seal, now)
        if isinstance(question.message, Batch):
            asked = [one for one in question.message.messages if isinstance(one, Request)]
            excess = self._limits.request(permit, started, len(asked) - 1)
            if excess is not None:
                return excess
            return batch_answered(await asyncio.gather(*(self._answerer.answer(question, one, started) for one in asked)))
        if isinstance(question.message, Request):
            return answered(await self._answerer.answer(question, question.message, started))
        return NOTHING


def _begin_session(permit: Permit, request: Request, seal: Seal, now: float) -> Reply | Refusal:
    session = legacy.initialize(permit, request, now, secrets.token_urlsafe(12))
    if isinstance(session, Refusal):
        return session
    answer = result(request.id, legacy.initialize_result(permit, session))
    return answered(answer, {header.SESSION_ID: seal.seal(session)})


def _end_session(incoming: Incoming, permit: Permit, seal: Seal, now: float) -> Reply | Refusal:
    """Take leave of a legacy client; the id is no state that could be removed, and lives on until nobody sends it."""
    if incoming.verb != "DELETE":
        return Refusal(Reason.VERB_UNKNOWN)
    session = legacy.session_of(permit, incoming.headers, seal, now)
    return session if isinstance(session, Refusal) else Reply(204)
