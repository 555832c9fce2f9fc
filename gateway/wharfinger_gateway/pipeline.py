"""The spine: one HTTP request from its headers to its reply.

    admit (identify ▶ route ▶ authorize) ▶ receive (parse) ▶ hop (to the replica that holds it) ▶ answer (resolve ▶ forward ▶ record)

Each step gives a value or a Refusal, and a Refusal ends it. A request reads what is in force once; its permit carries it along.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from wharfinger_cluster.errors import ClusterError
from wharfinger_gateway.admission import Admission
from wharfinger_gateway.admit import admit, gateway_at
from wharfinger_gateway.answer import Answerer
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.catalog import Catalogs
from wharfinger_gateway.conversation import Conversations
from wharfinger_gateway.current import Current
from wharfinger_gateway.forward import Servers
from wharfinger_gateway.hop import Hops
from wharfinger_gateway.http_sse import HttpSse
from wharfinger_gateway.identify import Credentials, bearer
from wharfinger_gateway.incoming import Incoming, Reply
from wharfinger_gateway.known_bearers import KnownBearers
from wharfinger_gateway.leaving import leave
from wharfinger_gateway.legacy_sessions import LegacySessions
from wharfinger_gateway.limits import Limits
from wharfinger_gateway.listeners import Listeners
from wharfinger_gateway.question import Opening, Question, Within, take
from wharfinger_gateway.receive import receive
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.replica import Place, Replica
from wharfinger_gateway.reply import NOTHING, answered, batch_answered, refused_whole
from wharfinger_gateway.round_trip import waits_at
from wharfinger_gateway.sessions import Sessions
from wharfinger_gateway.telemetry import Telemetry
from wharfinger_gateway.upstreams import Upstreams
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import Batch, Request
from wharfinger_oauth.challenge import challenge

SWEEP_SECONDS: Final = 60.0
_log = logging.getLogger(__name__)


class Pipeline:
    """Serves requests from what is in force."""

    def __init__(
        self,
        current: Current,
        upstreams: Upstreams,
        telemetry: Telemetry,
        place: Place,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._current = current
        self._telemetry = telemetry
        self._loopback = place.loopback
        self._clock = clock
        catalogs = Catalogs()
        self._limits = Limits()
        self._replicas = HttpClient()
        self._hops = Hops(self._replicas, place.replica_address)
        self._sessions = Sessions(self._hops.own)
        self._conversations = Conversations(self._hops.own)
        self._listeners = Listeners(self._still_admit, lambda permit: catalogs.of(permit).offer)
        self._answerer = Answerer(catalogs, Servers(upstreams, self._conversations), self._listeners, telemetry, self._limits)
        self._replica = replica = Replica(self._sessions, self._listeners, upstreams, self._hops, clock)
        self._legacy = LegacySessions(replica)
        self._http_sse = HttpSse(replica, self._answerer, self._limits)
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
        self._telemetry.refused_whole(outcome, incoming.path)
        return refused_whole(outcome, self._challenge(incoming) if outcome.status == 401 else "")

    def _challenge(self, incoming: Incoming) -> str:
        """Return where to log in, for the answer to who did not; the same for every gateway, so that it tells nothing of any."""
        snapshot = self._current.snapshot
        return challenge(snapshot.public_url, incoming.path) if snapshot is not None and snapshot.offers_login else ""

    async def drain(self, seconds: float = 0.0) -> None:
        """See `leaving`."""
        await leave(self._replica, self._conversations, seconds)

    async def sweep(self) -> None:
        """Forget sessions that nobody uses any more, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._sessions.sweep(self._clock())

    async def close(self) -> None:
        """Let go of the other replicas."""
        await self._replicas.close()

    def _admission(self, incoming: Incoming, now: float) -> Admission | Refusal:
        known, force = incoming.kept and incoming.kept.memo, self._current.force
        if isinstance(known, Admission) and known.holds(force, now):
            return known
        permit = self._judge(incoming, self._current.bearers)
        if isinstance(permit, Refusal):
            return permit
        admission = Admission(permit, incoming.headers, force, now)
        if incoming.kept is not None:
            incoming.kept.memo = admission
        return admission

    def _still_admit(self, incoming: Incoming) -> Permit | Refusal:
        """Judge a stream under way."""
        return self._judge(incoming, self._current.bearers.patient())

    def _judge(self, incoming: Incoming, bearers: KnownBearers) -> Permit | Refusal:
        credentials = Credentials(self._current.tokens, bearers)
        return admit(incoming, self._current.snapshot, credentials, self._clock(), loopback=self._loopback)

    async def _asked(self, incoming: Incoming) -> Refusal | None:
        """Ask whoever can tell about a token of which nothing is known; return the refusal where nobody can."""
        snapshot, gateway = self._current.snapshot, gateway_at(incoming.path)
        found = snapshot.gateways.get(gateway) if snapshot and gateway else None
        text = bearer(incoming.headers.getall("Authorization", []))
        if snapshot is None or found is None or text is None:
            return None
        try:
            unknown = await self._current.bearers.learn(text, found, snapshot)
        except ClusterError:
            return Refusal(Reason.TOKEN_UNVERIFIABLE)
        return Refusal(Reason.TOKEN_UNVERIFIABLE, wait=unknown.retry_after) if unknown is not None else None

    async def _serve(self, incoming: Incoming) -> Reply | Refusal:
        started, now = time.perf_counter(), self._clock()
        admission = self._admission(incoming, now)
        if isinstance(admission, Refusal) and admission.reason is Reason.TOKEN_UNVERIFIED:
            admission = await self._asked(incoming) or self._admission(incoming, self._clock())
        if isinstance(admission, Refusal):
            return admission
        permit, seal = admission.permit, admission.seal
        self._current.bearers.note(permit.principal.credential)
        excess = self._limits.request(permit, started)
        if excess is not None:
            return excess
        if not incoming.path.endswith(permit.gateway.id):
            return await self._http_sse.serve(incoming, permit, seal)
        if incoming.verb != "POST":
            return await self._legacy.without_message(incoming, permit, seal)
        question = await receive(incoming, admission, self._sessions, now)
        if isinstance(question, Refusal):
            return question
        if isinstance(question.rules, Opening):
            return self._legacy.begin(permit, question.rules.request, seal)
        owner = _owner(question)
        is_asked = self._hops.is_leaving or self._hops.leads_elsewhere(owner)
        return (await self._elsewhere(question, owner) if is_asked else None) or await self._answer(question, started)

    async def _elsewhere(self, question: Question, owner: str) -> Reply | Refusal | None:
        """Return the reply of the replica that holds what a question is about; None where it is answered here."""
        if isinstance(question.rules, Within):
            is_new = isinstance(question.message, Request | Batch)
            return await self._hops.in_session(question.incoming, question.body, question.rules.session, is_new=is_new)
        return await self._hops.forward(question.incoming, question.body, owner) if self._hops.leads_elsewhere(owner) else None

    async def _answer(self, question: Question, started: float) -> Reply | Refusal:
        if isinstance(question.message, Batch):
            excess = self._limits.more_in(question.message, question.permit, started)
            if excess is not None:
                return excess
            asked = [one for one in question.message.messages if isinstance(one, Request)]
            for one in question.message.messages:
                take(question, one)
            return batch_answered(await asyncio.gather(*(self._answerer.answer(question, one, started) for one in asked)))
        if isinstance(question.message, Request):
            return answered(await self._answerer.answer(question, question.message, started))
        take(question, question.message)
        return NOTHING


def _owner(question: Question) -> str:
    """Return the replica that holds what a question is about."""
    return question.rules.session.replica if isinstance(question.rules, Within) else waits_at(question)
