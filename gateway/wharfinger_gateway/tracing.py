"""Spans of calls, exported by OTLP over HTTP. Imported only where that was asked for: nobody else pays for the library.

A call is a span of kind SERVER, named by its method, with one for each of its steps below it: `route` until what is asked for is found,
`credential` until it is known whose installation serves it and with what, and one of kind CLIENT for the server's part, named by what the
server is asked: a tool that stands for a resource is a `resources/read` there. Everything about sampling, limits, batches and the way to the
collector is the SDK's, and set by its standard environment variables (OpenTelemetry, "SDK Environment Variables" and "OTLP Exporter"). No argument,
result, credential or caller is in a span.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from wharfinger_gateway.server_info import VERSION
from wharfinger_gateway.trace import Passed, Trace
from wharfinger_mcp.trace_context import TraceContext

CLOSE_SECONDS: Final = 5.0
_FAILED: Final = Status(StatusCode.ERROR)


class Exporting:
    """Begins traces that are exported; see Tracer."""

    def __init__(self) -> None:
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("wharfinger", VERSION)

    def begin(self, method: str, parent: TraceContext | None, seconds: float) -> Trace:
        """See Tracer."""
        arrived = time.time_ns() - int(seconds * 1e9)
        above = None if parent is None else set_span_in_context(NonRecordingSpan(_remote(parent)))
        whole = self._tracer.start_span(method, above, SpanKind.SERVER, {"mcp.method.name": method}, start_time=arrived)
        return _Recorded(self._tracer, method, whole, arrived) if whole.is_recording() else Passed(_context(whole))

    def close(self) -> None:
        """See Tracer: as far as the collector takes it in time."""
        # A thread that nobody waits for at the end of the process, as the SDK would for half a minute.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class _Recorded:
    __slots__ = ("_below", "_method", "_step", "_tracer", "_whole")

    def __init__(self, tracer: Tracer, method: str, whole: Span, arrived: int) -> None:
        self._tracer = tracer
        self._method = method
        self._whole = whole
        self._below = set_span_in_context(whole)
        self._step = tracer.start_span("route", self._below, start_time=arrived)

    @property
    def id(self) -> str:
        return format_trace_id(self._whole.get_span_context().trace_id)

    def step(self, name: str) -> None:
        self._begin(name, SpanKind.INTERNAL)

    def sent(self, method: str) -> TraceContext:
        return _context(self._begin(method, SpanKind.CLIENT))

    def end(self, attributes: dict[str, str], *, failed: bool) -> None:
        self._step.end()
        self._whole.set_attributes(attributes)
        if "gen_ai.tool.name" in attributes:
            self._whole.update_name(f"{self._method} {attributes['gen_ai.tool.name']}")
        if failed:
            self._whole.set_status(_FAILED)
        self._whole.end()

    def _begin(self, name: str, kind: SpanKind) -> Span:
        now = time.time_ns()
        self._step.end(now)
        self._step = self._tracer.start_span(name, self._below, kind, start_time=now)
        return self._step


def _resource() -> Resource:
    """Return what stands for this process; the standard variables win."""
    found = Resource.create({"service.version": VERSION})
    unnamed = str(found.attributes["service.name"]).startswith("unknown_service")
    return found.merge(Resource({"service.name": "wharfinger-gateway"})) if unnamed else found


def _remote(context: TraceContext) -> SpanContext:
    flags, state = TraceFlags(int(context.flags, 16)), TraceState.from_header([context.state])
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote=True, trace_flags=flags, trace_state=state)


def _context(span: Span) -> TraceContext:
    found = span.get_span_context()
    return TraceContext(
        format_trace_id(found.trace_id), format_span_id(found.span_id), f"{found.trace_flags:02x}", found.trace_state.to_header()
    )
