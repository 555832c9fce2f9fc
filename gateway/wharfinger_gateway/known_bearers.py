"""Bearer tokens that are no McpTokens, as far as anything is known of them: what is asked, and the answer where nothing ever is.

The libraries that verify such tokens are a third of the program's memory; they are loaded when a gateway first takes one (`late_doors`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from wharfinger_gateway.identity import Identity
    from wharfinger_gateway.snapshot import Gateway, Snapshot
    from wharfinger_oauth.access_token import AccessToken
    from wharfinger_oauth.grant_record import GrantRecord
    from wharfinger_oauth.unavailable import Unavailable


class KnownBearers(Protocol):
    """What is known of bearer tokens at this moment."""

    def own(self, text: str, /) -> AccessToken | None:
        """Return what an access token of ours says, whether its time is over or not."""

    def grant(self, name: str, /) -> GrantRecord | None:
        """Return a grant in force."""

    def other(self, text: str, gateway: str, now: float, /) -> Identity | None:
        """Return whose token of somebody else it is, as far as that is known of it at a gateway."""


class AskedBearers(KnownBearers, Protocol):
    """The same, and finding it out."""

    note: Callable[[str], None]
    """Told of each credential that is called with, named as in the audit record."""

    def patient(self) -> KnownBearers:
        """Return the same for streams under way, whose tokens are not asked about again while they last."""

    async def learn(self, text: str, gateway: Gateway, snapshot: Snapshot, /) -> Unavailable | None:
        """Find out whose token it is; what is found is known afterwards. Return Unavailable where nobody can tell.

        Raise ClusterError where the API server must be asked and does not answer.
        """


class NoBearers:
    """Where there are McpTokens only."""

    def __init__(self) -> None:
        self.note: Callable[[str], None] = ignore

    def own(self, _text: str, /) -> None:
        """Return nothing."""

    def grant(self, _name: str, /) -> None:
        """Return nothing."""

    def other(self, _text: str, _gateway: str, _now: float, /) -> None:
        """Return nothing."""

    def patient(self) -> Self:
        """Return itself."""
        return self

    async def learn(self, _text: str, _gateway: Gateway, _snapshot: Snapshot, /) -> None:
        """Find nothing out."""


def ignore(_credential: str) -> None:
    """Note nothing."""
