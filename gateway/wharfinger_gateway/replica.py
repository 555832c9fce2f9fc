"""This replica: where it is, and what it holds of its clients' sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wharfinger_gateway.hop import Hops
from wharfinger_gateway.listeners import Listeners
from wharfinger_gateway.sessions import Sessions
from wharfinger_gateway.upstreams import Upstreams


@dataclass(frozen=True, slots=True)
class Place:
    """Where clients and other replicas find this process."""

    loopback: bool = False
    """Only this machine does."""
    replica_address: str = ""
    """HOST:PORT for other replicas; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Replica:
    """What it holds, and the way to the others."""

    sessions: Sessions
    listeners: Listeners
    upstreams: Upstreams
    hops: Hops
    clock: Callable[[], float]
    """Seconds since the epoch."""
