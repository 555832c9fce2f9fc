"""What is counted, and one audit record for each call, and for each gateway that was refused to somebody.

Invariants: no result, credential or error text of a server is in a metric or a record, and no argument but in a record, where it was asked for. Labels come from the cluster's objects
and from our own tables, never from what a caller sends, so that nobody can make new time series; and since objects come and go, the tools that
have series of their own are bounded in number (`call_metrics`).
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from wharfinger_crds.names import ENDPOINT_PREFIX
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.call import Call
from wharfinger_gateway.call_metrics import CallMetrics
from wharfinger_gateway.connection_bounds import Ended
from wharfinger_gateway.forward import Served
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.snapshot import Refused
from wharfinger_gateway.trace import Passing, Trace, Tracer, parent_of
from wharfinger_mcp.connect import Connect
from wharfinger_mcp.jsonrpc import Params, Request

_NAME_CHARS: Final = 128

_encode = msgspec.json.Encoder().encode


class Telemetry:
    """The metrics of one process, and its audit log."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        clock: Callable[[], float] = time.time,
        tracer: Tracer | None = None,
        argument_bytes: int = 0,
    ) -> None:
        """`argument_bytes` is how much of a call's arguments its audit record holds."""
        self._argument_bytes = argument_bytes
        self._tracer = tracer or Passing()
        self.registry = CollectorRegistry()
        self._write = write
        self._clock = clock
        self._second, self._until_second = -1, ""
        self._calls = CallMetrics()
        self.registry.register(self._calls)
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
        self._calls.connected(how)

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

    def begin(self, permit: Permit, request: Request, seconds: float) -> Trace | None:
        """Return the trace of a call that arrived so many seconds ago; None where there is none."""
        return self._tracer.begin(request.method, parent_of(permit, request.params), seconds)

    def called(self, call: Call, params: Params, seconds: float, trace: Trace | None = None) -> None:
        """Count a call that took `seconds` in all and was made with these params, write its audit record, and end its trace."""
        outcome = _outcome(call)
        overhead = seconds - call.upstream_seconds
        if call.listed is not None:
            self._calls.tool((call.permit.gateway.id, _server(call), call.listed.tool.name), outcome, seconds)
        self._calls.overhead(overhead)
        if trace is not None:
            trace.end(_attributes(call, outcome), failed=outcome != "ok")
        record = self._record(call, outcome, seconds, overhead, trace.id if trace else None)
        if self._argument_bytes:
            record.arguments = _cut(params, self._argument_bytes)
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

    def _now(self) -> str:
        now = self._clock()
        second = int(now)
        if second != self._second:
            # Said for many calls alike, and dear.
            self._second, self._until_second = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._until_second}.{int((now - second) * 1000):03d}+00:00"

    def _record(self, call: Call, outcome: str, seconds: float, overhead: float, trace: str | None) -> _CallRecord:
        principal, choice, listed = call.permit.principal, call.choice, call.listed
        return _CallRecord(
            audit="call",
            time=self._now(),
            gateway=call.permit.gateway.id,
            method=call.method,
            principal=principal.subject,
            credential=principal.credential,
            tool=call.name[:_NAME_CHARS],
            server_tool=listed.tool.name if listed else None,
            installation=choice.installation.path if choice else None,
            chosen=choice.how if choice else None,
            outcome=outcome,
            duration_ms=round(seconds * 1000, 3),
            overhead_ms=round(overhead * 1000, 3),
            trace=trace,
        )


class _CallRecord(msgspec.Struct):
    """The audit record of a call."""

    audit: str
    time: str
    gateway: str
    method: str
    principal: str
    credential: str
    tool: str
    server_tool: str | None
    installation: str | None
    chosen: str | None
    outcome: str
    duration_ms: float
    overhead_ms: float
    trace: str | None
    arguments: str | msgspec.UnsetType = msgspec.UNSET
    """JSON, or its beginning."""


def _cut(params: Params, size: int) -> str:
    """Return so many bytes of the arguments that a call was made with; what is left of a character at the end is none."""
    given = params.get("arguments") or params.get("argument") or b""
    return bytes(given)[:size].decode(errors="ignore")


def _attributes(call: Call, outcome: str) -> dict[str, str]:
    """Return what a span says of a call: names of the cluster's objects, and of our own tables."""
    found = {"wharfinger.gateway": call.permit.gateway.id, "wharfinger.outcome": outcome}
    if outcome != "ok":
        found["error.type"] = outcome
    if call.listed is not None:
        found["gen_ai.tool.name"] = call.listed.name
    if call.listed is not None or call.choice is not None:
        found["wharfinger.server"] = _server(call)
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
