"""From the replica that a client has reached to the one that holds what its request is about.

A legacy session, and a modern call that waits for answers, live on one replica, whose address is sealed into their ids. Invariants: nobody
but us names an address; the owner identifies the caller anew; a request hops once. A replica that is gone is not asked again for a while,
and one that leaves finishes what it has begun and takes nothing new.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from wharfinger_gateway.incoming import Incoming, Reply
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.reply import UNANSWERED
from wharfinger_gateway.scope import CancelScope
from wharfinger_gateway.session import Session
from wharfinger_mcp import media_type
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.errors import MisconfiguredError, NotSentError, UpstreamError
from wharfinger_mcp.http_answer import Answer
from wharfinger_mcp.http_client import HttpClient

HOPPED: Final = "Wharfinger-Hop"
"""Header of a request that has hopped."""
GONE_SECONDS: Final = 30.0
STREAM_SECONDS: Final = 24 * 3600.0
ANSWER_BYTES: Final = 1024 * 1024 * 1024
_NOT_PASSED_ON: Final = frozenset(
    {"host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "content-length", "accept-encoding"}
)
_PASSED_BACK: Final[tuple[str, ...]] = ("content-type", "cache-control", "mcp-session-id", "retry-after", "www-authenticate", "allow")


class Hops:
    """Passes requests on. Belongs to one event loop."""

    def __init__(self, client: HttpClient, address: str) -> None:
        self._client = client
        self.own: str = f"{address}/{secrets.token_urlsafe(6)}" if address else ""
        """This replica and this start of it, as ids name it; empty where there is no other replica."""
        self._gone: dict[str, float] = {}
        self.is_leaving = False
        """This replica takes no new requests of others."""

    def leads_elsewhere(self, owner: str) -> bool:
        """Tell whether what is there, or was, is not here."""
        return owner not in ("", self.own)

    async def in_session(self, incoming: Incoming, body: bytes, session: Session, *, is_new: bool = True) -> Reply | Refusal | None:
        """Return the reply of the replica that holds a session; None where the request is answered here: it is this one, or that one is gone
        and the session can go on without it. One that `is_new` belongs to nothing that is under way."""
        if not self.leads_elsewhere(session.replica):
            is_passed_on = bool(incoming.headers.getall(HOPPED, []))
            return Refusal(Reason.REPLICA_LEAVING) if self.is_leaving and is_new and is_passed_on else None
        reply = await self.forward(incoming, body, session.replica)
        return Refusal(Reason.SESSION_UNKNOWN) if reply is None and session.bound else reply

    async def forward(self, incoming: Incoming, body: bytes, owner: str) -> Reply | Refusal | None:
        """Return the owner's reply; None where it is gone, or has started anew."""
        now = asyncio.get_running_loop().time()
        if incoming.headers.getall(HOPPED, []) or not self.own or self._gone.get(owner, 0.0) > now:
            return None
        try:
            endpoint = parse_endpoint(f"http://{owner.partition('/')[0]}{incoming.path}" + (f"?{incoming.query}" if incoming.query else ""))
        except MisconfiguredError:
            return None
        passed = {name: value for name, value in incoming.headers.items() if name.lower() not in _NOT_PASSED_ON and value.isascii()}
        head = endpoint.request_head(incoming.verb, {**passed, HOPPED: self.own}, {}, len(body))
        try:
            answer = await self._client.send(endpoint, head, body, deadline=now + STREAM_SECONDS, limit=ANSWER_BYTES)
        except NotSentError:
            self._gone = {one: until for one, until in self._gone.items() if until > now} | {owner: now + GONE_SECONDS}
            return None
        except UpstreamError:
            return None if incoming.verb == "GET" else Refusal(Reason.REPLICA_LOST)
        if answer.status == Refusal(Reason.REPLICA_LEAVING).status:
            answer.close(finishing=True)
            return None
        scope = CancelScope()
        stay = incoming.channel.on_leave(scope.cancel)
        try:
            return await scope.run(_passed_back(incoming, answer)) or UNANSWERED
        except UpstreamError:
            return UNANSWERED
        finally:
            stay()
            answer.close()


async def _passed_back(incoming: Incoming, answer: Answer) -> Reply:
    headers: dict[str, str] = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
    if media_type.essence(answer.headers.get("content-type")) != media_type.EVENT_STREAM:
        body = await answer.body()
        answer.close(finishing=True)
        return Reply(answer.status, body, headers)
    await incoming.channel.open()
    while piece := await answer.piece():
        if not await incoming.channel.write(piece):
            break
    return UNANSWERED
