"""Who proved himself at an identity provider."""

from __future__ import annotations

from typing import Final

import msgspec

MAX_GROUPS: Final = 200
"""More are no snapshot to carry along; the provider should filter them."""


class Subject(msgspec.Struct, frozen=True):
    """A person, as an identity provider described him at one moment. Teams are worked out from this at each call, never kept in it."""

    user: str
    """`<identity provider>:<username claim>`."""
    identity_provider: str
    issuer: str
    subject: str
    """The `sub` claim; with the issuer it is the person's key."""
    authenticated_at: int
    """Seconds since the epoch."""
    email: str | None = None
    """Verified, or None."""
    groups: tuple[str, ...] = ()
    """With the provider's prefix; sorted."""
    login: str = ""
    """What the provider can be asked about him with again: a Secret's name; empty where it gave nothing to ask with."""
