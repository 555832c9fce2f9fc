"""How a request came by its connection: what is counted of every one."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from wharfinger_mcp.errors import BusyError, EgressRefusedError, MisconfiguredError, NotSentError


class Connect(StrEnum):
    """A connection made anew or used again, or why there was none."""

    NEW = "new"
    REUSED = "reused"
    UNREACHABLE = "unreachable"
    EGRESS_REFUSED = "egress_refused"
    BUSY = "busy"
    MISCONFIGURED = "misconfigured"


_WHY: Final = {EgressRefusedError: Connect.EGRESS_REFUSED, BusyError: Connect.BUSY, MisconfiguredError: Connect.MISCONFIGURED}


def failed(error: NotSentError) -> Connect:
    """Return why there was no connection."""
    return _WHY.get(type(error), Connect.UNREACHABLE)
