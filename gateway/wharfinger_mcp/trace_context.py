"""Which trace a request is part of, and how that is written into headers and `_meta`. Pure.

What is malformed counts as not there, as the specification wants, so that nobody's call fails for its trace. Source: W3C Trace Context, level 1;
MCP 2026-07-28, "_meta", whose `traceparent`, `tracestate` and `baggage` have no prefix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw

from wharfinger_mcp import jsonrpc
from wharfinger_mcp.header import Fields

TRACE_PARENT: Final = "traceparent"
TRACE_STATE: Final = "tracestate"
BAGGAGE: Final = "baggage"
MAX_STATE_CHARS: Final = 512

_TRACE_PARENT: Final = TRACE_PARENT.encode()
_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(r"[\x20-\x7e\t]{1,512}")
_ZEROS = re.compile(r"0+")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16; of the span that what is sent belongs below."""
    flags: str = "01"
    """Two digits, the lowest bit of which says that the trace is recorded."""
    state: str = ""
    """What tracing systems tell each other; opaque."""

    @property
    def sampled(self) -> bool:
        """Whether whoever began the trace records it."""
        return bool(int(self.flags, 16) & 1)

    def members(self) -> dict[str, str]:
        """Return the names and values that carry it, in headers as in `_meta`."""
        parent = {TRACE_PARENT: f"00-{self.trace_id}-{self.span_id}-{self.flags}"}
        return parent | ({TRACE_STATE: self.state} if self.state else {})


def trace_context(parent: Sequence[str], state: Sequence[str]) -> TraceContext | None:
    """Return the context that these values of `traceparent` and `tracestate` name."""
    found = _PARENT.fullmatch(parent[0].strip(" \t")) if len(parent) == 1 and len(parent[0]) <= MAX_STATE_CHARS else None
    if found is None or (found[1] == "00" and found[5] is not None) or _ZEROS.fullmatch(found[2]) or _ZEROS.fullmatch(found[3]):
        return None
    joined = ",".join(state).strip(" \t,")
    flags = f"{int(found[4], 16) & 3:02x}"
    return TraceContext(found[2], found[3], flags, joined if _STATE.fullmatch(joined) else "")


def from_fields(fields: Fields) -> TraceContext | None:
    """Return the context that a request's header fields name."""
    parent = fields.getall(TRACE_PARENT, [])
    return trace_context(parent, fields.getall(TRACE_STATE, [])) if parent else None


def from_meta(meta: Raw) -> TraceContext | None:
    """Return the context that a request's `_meta` names."""
    if _TRACE_PARENT not in bytes(meta):
        return None
    members = jsonrpc.members(meta) or {}
    parent, state = _text(members.get(TRACE_PARENT)), _text(members.get(TRACE_STATE))
    return None if parent is None else trace_context([parent], [] if state is None else [state])


def carried(meta: Mapping[str, Raw], context: TraceContext | None, *, baggage: bool) -> dict[str, Raw]:
    """Return `_meta` with this context in place of its own, and without its baggage unless that may go on."""
    ours = {} if context is None else {name: jsonrpc.raw_json(value) for name, value in context.members().items()}
    dropped = {TRACE_PARENT, TRACE_STATE} | (set() if baggage else {BAGGAGE})
    return {name: value for name, value in meta.items() if name not in dropped} | ours


def _text(raw: Raw | None) -> str | None:
    try:
        return None if raw is None else msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        return None
