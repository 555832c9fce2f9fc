"""What is counted, and one audit record for each call.

Invariants: no argument, result, credential or error text of a server is in a metric or a record. Labels come from the cluster's objects
and from our own tables, never from what a caller sends, so that nobody can make new time series.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from wharfinger_gateway.call import Call
from wharfinger_gateway.forward import Served
from wharfinger_gateway.refusals import Reason
from wharfinger_gateway.snapshot import Refused

_OVERHEAD_BUCKETS: Final = (50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 50e-3, 0.25)
_CALL_BUCKETS: Final = (2e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_TOOL: Final = ("gateway", "server", "tool")
_NAME_CHARS: Final = 128

_encode = msgspec.json.Encoder().encode


class Telemetry:
    """The metrics of one process, and its audit log."""

    def __init__(self, write: Callable[[bytes], None], clock: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self._write = write
        self._clock = clock
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

    def refused(self, reason: Reason) -> None:
        """Count a refusal."""
        self._refusals.labels(reason.value).inc()

    def called(self, call: Call, seconds: float) -> None:
        """Count a call that took `seconds` in all, and write its audit record."""
        outcome = _outcome(call)
        overhead = seconds - call.upstream_seconds
        if call.listed is not None:
            labels = (call.permit.gateway.id, _server(call), call.listed.tool.name)
            self._calls.labels(*labels, outcome).inc()
            self._seconds.labels(*labels).observe(seconds)
        self._overhead.observe(overhead)
        self._write(_encode(self._record(call, outcome, seconds, overhead)) + b"\n")

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

    def _record(self, call: Call, outcome: str, seconds: float, overhead: float) -> Mapping[str, Any]:
        principal = call.permit.principal
        return {
            "audit": "call",
            "time": datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds"),
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
