"""Whose token it is, as somebody else said."""

from __future__ import annotations

from dataclasses import dataclass

from wharfinger_gateway.principal import Door


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose token it is, by somebody else's word; teams are worked out at each call."""

    door: Door
    user: str | None
    identity_provider: str
    groups: tuple[str, ...]
    service_account: tuple[str, str] | None
    """Namespace and name."""
    believed_until: float
    """Seconds since the epoch, after which whoever said so is asked again."""
    expires_at: float
    """Seconds since the epoch."""
