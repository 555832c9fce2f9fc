"""What is counted, and one audit record for each call, and for each gateway that was refused to somebody.

Invariants: no argument, result, credential or error text of a server is in a metric or a record. Labels come from the cluster's objects
and from our own tables, never from what a caller sends, so that nobody can make new time series; and since objects come and go, the tools that
have series of their own are bounded in number.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from wharfinger_crds.names import ENDPOINT_PREFIX
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.call import Call
from wharfinger_gateway.connection_bounds import Ended
from wharfinger_gateway.forward import Served
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.snapshot import Refused
from wharfinger_gateway.trace import Passing, Trace, Tracer, parent_of
from wharfinger_mcp.connect import Connect
from wharfinger_mcp.jsonrpc import Params

_OVERHEAD_BUCKETS: Final = (50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 50e-3, 0.25)
_CALL_BUCKETS: Final = (2e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_TOOL: Final = ("gateway", "server", "tool")
MAX_TOOLS: Final = 2000
"""Tools with series of their own, in the life of the process; calls of all others are counted together."""
_OTHERS: Final = ("(other)", "(other)", "(other)")
_NAME_CHARS: Final = 128

_encode = msgspec.json.Encoder().encode


class Telemetry:
    """The metrics of one process, and its audit log."""

    def __init__(self, write: Callable[[bytes], None], clock: Callable[[], float] = time.time, tracer: Tracer | None = None) -> None:
        self._tracer = tracer or Passing()
        self.registry = CollectorRegistry()
        self._write = write
        self._clock = clock
        self._second, self._until_second = -1, ""
        self._calls = Counter("wharfinger_gateway_calls", "Tool calls, by outcome.", (*_TOOL, "outcome"), registry=self.registry)
        self._seconds = Histogram(
            "wharfinger_gateway_call_seconds", "Time of tool calls.", _TOOL, buckets=_CALL_BUCKETS, registry=self.registry
        )
        self._overhead = Histogram(
            "wharfinger_gateway_overhead_seconds",
            "Time of tool calls that was not spent waiting for the server.",
            buckets=_OVERHEAD_BUCKETS,
            registry=self.registry,
        )
        self._tools: dict[tuple[str, str, str], _Tool] = {}
        self._connects = Counter(
            "wharfinger_gateway_upstream_connects",
            "Requests to servers, by how they came by a connection.",
            ("outcome",),
            registry=self.registry,
        )
        # Looking a child up costs more than counting.
        self._connect = {how: self._connects.labels(how.value).inc for how in Connect}
        self._sessions = Gauge("wharfinger_gateway_sessions", "Servers as callers see them, with a session each.", registry=self.registry)
        self._grants = Gauge("wharfinger_gateway_grants", "McpGrants, whether they count or not.", registry=self.registry)
        self._clients = Gauge("wharfinger_gateway_connections", "Connections of clients.", registry=self.registry)
        self._unread = Gauge("wharfinger_gateway_unread_bytes", "What waits for clients that read slowly.", registry=self.registry)
        self._ended = Counter(
            "wharfinger_gateway_connections_ended", "Connections of clients that were ended, by why.", ("reason",), registry=self.registry
        )
        self._refusals = Counter("wharfinger_gateway_refusals", "Refusals, by reason.", ("reason",), registry=self.registry)
        self._objects = Gauge("wharfinger_gateway_refused_objects", "Objects that do not count.", ("kind",), registry=self.registry)
        self._snapshots = Counter("wharfinger_gateway_snapshots", "Snapshots put in force.", registry=self.registry)
        self._settings = Gauge(
            "wharfinger_gateway_settings_valid",
            "0 while the last good settings are used instead of the present ones.",
            registry=self.registry,
        )
        self._settings.set(1)

    def watch_age(self, age: Callable[[], float]) -> None:
        """Show the seconds since the API server was last heard of; above a few minutes it is out of reach."""
        gauge = Gauge("wharfinger_gateway_snapshot_age_seconds", "Time since the API server was last heard of.", registry=self.registry)
        gauge.set_function(age)

    def watch_clients(self, connections: Callable[[], float], unread: Callable[[], float]) -> None:
        """Show the connections of clients, and what waits for them."""
        self._clients.set_function(connections)
        self._unread.set_function(unread)

    def watch_sessions(self, sessions: Callable[[], float]) -> None:
        """Show the sessions with servers."""
        self._sessions.set_function(sessions)

    def watch_grants(self, grants: Callable[[], float]) -> None:
        """Show the grants."""
        self._grants.set_function(grants)

    def connected(self, how: Connect) -> None:
        """Count how a request came by its connection to a server."""
        self._connect[how]()

    def client_ended(self, why: Ended) -> None:
        """Count a connection of a client that was ended."""
        self._ended.labels(why.value).inc()

    def refused(self, reason: Reason) -> None:
        """Count a refusal."""
        self._refusals.labels(reason.value).inc()

    def refused_whole(self, refusal: Refusal, path: str) -> None:
        """Count the refusal of an HTTP request, and write an audit record where it was decided about somebody."""
        self.refused(refusal.reason)
        if refusal.caller:
            asked = path.removeprefix(f"{ENDPOINT_PREFIX}/")[:_NAME_CHARS]
            record = {
                "audit": "refusal",
                "time": self._now(),
                "gateway": asked,
                "principal": refusal.caller,
                "credential": refusal.credential,
                "outcome": refusal.reason.value,
            }
            self._write(_encode(record) + b"\n")

    def begin(self, permit: Permit, params: Params, seconds: float) -> Trace | None:
        """Return the trace of a call that arrived so many seconds ago; None where there is none."""
        return self._tracer.begin(parent_of(permit, params), seconds)

    def called(self, call: Call, seconds: float, trace: Trace | None = None) -> None:
        """Count a call that took `seconds` in all, write its audit record, and end its trace."""
        outcome = _outcome(call)
        overhead = seconds - call.upstream_seconds
        if call.listed is not None:
            tool = self._tool((call.permit.gateway.id, _server(call), call.listed.tool.name))
            tool.count(outcome)
            tool.seconds.observe(seconds)
        self._overhead.observe(overhead)
        if trace is not None:
            trace.end(_attributes(call, outcome), failed=outcome != "ok")
        record = {**self._record(call, outcome, seconds, overhead), "trace": trace.id if trace else None}
        self._write(_encode(record) + b"\n")

    def settings_valid(self, *, valid: bool) -> None:
        """Tell whether the present settings are in use."""
        self._settings.set(1 if valid else 0)

    def published(self) -> None:
        """Count a snapshot that was put in force."""
        self._snapshots.inc()

    def objects_refused(self, refused: Iterable[Refused]) -> None:
        """Show how many objects of each kind do not count."""
        self._objects.clear()
        for kind, count in Tally(one.kind for one in refused).items():
            self._objects.labels(kind).set(count)

    def _tool(self, labels: tuple[str, str, str]) -> _Tool:
        found = self._tools.get(labels)
        if found is None:
            if len(self._tools) >= MAX_TOOLS:
                labels = _OTHERS
            found = self._tools.get(labels) or _Tool(self._calls, self._seconds, labels)
            self._tools[labels] = found
        return found

    def _now(self) -> str:
        now = self._clock()
        second = int(now)
        if second != self._second:
            # Said for many calls alike, and dear.
            self._second, self._until_second = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._until_second}.{int((now - second) * 1000):03d}+00:00"

    def _record(self, call: Call, outcome: str, seconds: float, overhead: float) -> Mapping[str, Any]:
        principal = call.permit.principal
        return {
            "audit": "call",
            "time": self._now(),
            "gateway": call.permit.gateway.id,
            "method": call.method,
            "principal": principal.subject,
            "credential": principal.credential,
            "tool": call.name[:_NAME_CHARS],
            "server_tool": call.listed.tool.name if call.listed else None,
            "installation": call.choice.installation.path if call.choice else None,
            "chosen": call.choice.how if call.choice else None,
            "outcome": outcome,
            "duration_ms": round(seconds * 1000, 3),
            "overhead_ms": round(overhead * 1000, 3),
        }


class _Tool:
    """The series of one tool, kept: looking them up costs more than counting."""

    __slots__ = ("_calls", "_counts", "_labels", "seconds")

    def __init__(self, calls: Counter, seconds: Histogram, labels: tuple[str, str, str]) -> None:
        self._calls = calls
        self._labels = labels
        self._counts: dict[str, Callable[[], None]] = {}
        self.seconds = seconds.labels(*labels)

    def count(self, outcome: str) -> None:
        """Count a call."""
        counted = self._counts.get(outcome)
        if counted is None:
            counted = self._counts[outcome] = self._calls.labels(*self._labels, outcome).inc
        counted()


def _attributes(call: Call, outcome: str) -> dict[str, str]:
    """Return what a span says of a call: names of the cluster's objects, and of our own tables."""
    found = {"wharfinger.gateway": call.permit.gateway.id, "wharfinger.outcome": outcome}
    if outcome != "ok":
        found["error.type"] = outcome
    if call.listed is not None:
        found |= {"gen_ai.tool.name": call.listed.name, "wharfinger.server": _server(call)}
    if call.choice is not None:
        found |= {"wharfinger.installation": call.choice.installation.path, "wharfinger.chosen": call.choice.how}
    return found


def _outcome(call: Call) -> str:
    if isinstance(call.outcome, Served):
        if call.outcome.asks:
            return "input_required"
        return "error" if call.outcome.response.error else "tool_error" if call.outcome.is_error else "ok"
    return call.outcome.reason.value


def _server(call: Call) -> str:
    if call.choice is not None:
        return call.choice.installation.entry
    assignment = call.listed.assignment if call.listed else None
    return (assignment.entry if assignment else None) or ""
