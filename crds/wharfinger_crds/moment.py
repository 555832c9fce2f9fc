"""Moments as they stand in manifests (RFC 3339, metav1.Time): to the second, UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def moment_of(at: float) -> str:
    """Return a moment, in seconds since the epoch, as text."""
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")


def seconds_of(text: str) -> int:
    """Return a moment of a manifest in seconds since the epoch. Raises ValueError where it is none, or has no time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return int(moment.timestamp())
