"""An admitted head and what follows from it, so that the same head is not judged anew at each of a busy client's requests.

Invariants: it holds on one connection, for a second at most, not beyond the credential's end, and not once anything else has come into
force. What depends on a request's body is never in it.
"""

from __future__ import annotations

from typing import Final

from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.incoming import Headers
from wharfinger_gateway.refusals import Refusal
from wharfinger_gateway.session import Seal, Session
from wharfinger_mcp.media_type import reject_media
from wharfinger_mcp.revision import Rejection, Routing, routing

HOLDS_SECONDS: Final = 1.0


class Admission:
    """Who may do what by a head."""

    __slots__ = ("_force", "_since", "_until", "media", "permit", "routing", "seal", "session")

    def __init__(self, permit: Permit, headers: Headers, force: object, now: float) -> None:
        """Take what stands for all that was in force at `now`, in seconds since the epoch."""
        self.permit = permit
        self._force = force
        self._since = now
        self._until = min(now + HOLDS_SECONDS, permit.principal.until)
        self.seal = Seal(permit.snapshot.session_key)
        self.media: Rejection | None = reject_media(headers)
        """Why no body is read by it."""
        self.routing: Routing = routing(headers)
        self.session: Session | Refusal | None = None
        """What the session id in it names, once somebody has looked."""

    def holds(self, force: object, now: float) -> bool:
        """Tell whether it still does."""
        return self._force is force and self._since <= now < self._until
