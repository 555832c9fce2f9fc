"""A call's trace: which one it continues, how long its parts took, and what its server is told.

Without an exporter nothing is recorded, and the client's context goes on as it came: whoever traces on both sides sees one trace. With one,
the server is told of our own span (`tracing`).
"""

from __future__ import annotations

from typing import Protocol

from wharfinger_gateway.authorize import Permit
from wharfinger_mcp.jsonrpc import Params
from wharfinger_mcp.trace_context import TraceContext, from_meta


class Trace(Protocol):
    """The trace of one call that is under way."""

    @property
    def id(self) -> str:
        """The trace's id."""

    def step(self, name: str) -> None:
        """End the step that was under way, and begin another."""

    def sent(self, method: str) -> TraceContext:
        """End the step that was under way, begin that of the server, which is asked by this method, and return what the server is told."""

    def end(self, attributes: dict[str, str], *, failed: bool) -> None:
        """End all of it."""


class Tracer(Protocol):
    """Begins traces."""

    def begin(self, method: str, parent: TraceContext | None, seconds: float) -> Trace | None:
        """Return the trace of a request by a method of ours that arrived so many seconds ago, below `parent` if it is part of a trace; None where there is nothing to do."""

    def close(self) -> None:
        """Send what is left."""


def parent_of(permit: Permit, params: Params) -> TraceContext | None:
    """Return what the client says of a message in its `_meta`, else of the HTTP request that may carry several, and that others may have marked."""
    return (from_meta(params["_meta"]) if "_meta" in params else None) or permit.trace


class Passing:
    """Records nothing, and passes on what comes."""

    def begin(self, method: str, parent: TraceContext | None, seconds: float) -> Trace | None:
        """See Tracer."""
        return None if parent is None else Passed(parent)

    def close(self) -> None:
        """See Tracer."""


class Passed:
    """The trace of a call of which nothing is recorded."""

    __slots__ = ("_context",)

    def __init__(self, context: TraceContext) -> None:
        self._context = context

    @property
    def id(self) -> str:
        """See Trace."""
        return self._context.trace_id

    def step(self, name: str) -> None:
        """See Trace."""

    def sent(self, method: str) -> TraceContext:
        """See Trace."""
        return self._context

    def end(self, attributes: dict[str, str], *, failed: bool) -> None:
        """See Trace."""
