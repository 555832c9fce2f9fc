"""The life of legacy sessions over streamable HTTP: `initialize` begins one, a GET listens to it, a DELETE ends it."""

from __future__ import annotations

import secrets

from wharfinger_gateway import legacy
from wharfinger_gateway.asking import legacy_key
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.incoming import Incoming, Reply
from wharfinger_gateway.list_changes import ListChanges
from wharfinger_gateway.listeners import Listener
from wharfinger_gateway.receive import within
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.replica import Replica
from wharfinger_gateway.reply import UNANSWERED, answered, result
from wharfinger_gateway.server_info import TOLD
from wharfinger_gateway.session import Seal
from wharfinger_gateway.subscription import announcement
from wharfinger_mcp import header, media_type
from wharfinger_mcp.jsonrpc import Request


class LegacySessions:
    """Begins and ends them. Belongs to one event loop."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def begin(self, permit: Permit, request: Request, seal: Seal) -> Reply | Refusal:
        """Answer an `initialize`."""
        now = self._replica.clock()
        session = legacy.initialize(permit, request, now, legacy.Fresh(secrets.token_urlsafe(12), self._replica.sessions.replica))
        if isinstance(session, Refusal):
            return session
        self._replica.sessions.begin(session, legacy.capabilities(request), now)
        answer = result(request.id, legacy.initialize_result(permit, session))
        return answered(answer, {header.SESSION_ID: seal.seal(session)})

    async def without_message(self, incoming: Incoming, permit: Permit, seal: Seal) -> Reply | Refusal:
        """Serve a request that has no message: a GET or a DELETE."""
        if incoming.verb not in ("GET", "DELETE") or not incoming.headers.getall(header.SESSION_ID, []):
            return Refusal(Reason.VERB_UNKNOWN)
        session = legacy.session_of(permit, incoming.headers, seal, self._replica.clock())
        if isinstance(session, Refusal):
            return session
        reply = await self._replica.hops.in_session(incoming, b"", session)
        if reply is not None:
            return reply
        rules = within(session, self._replica.sessions, self._replica.clock())
        if isinstance(rules, Refusal):
            return rules
        if incoming.verb == "DELETE":
            # The id is no state that could be removed, and lives on until nobody sends it.
            self._replica.sessions.end(session)
            self._replica.upstreams.leave(legacy_key(session))
            return Reply(204)
        if not media_type.accepts(incoming.headers, media_type.EVENT_STREAM):
            return Refusal(Reason.STREAM_NOT_ACCEPTED)
        listener = Listener(incoming, announcement, rules.state.updated)
        rules.state.listen(listener)
        changes = ListChanges(listener, rules, TOLD, self._replica.upstreams)
        try:
            return await self._replica.listeners.serve(listener, permit, TOLD) or UNANSWERED
        finally:
            changes.end()
            rules.state.left(listener)
