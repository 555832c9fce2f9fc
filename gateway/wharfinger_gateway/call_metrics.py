"""Counts and times of calls, and of what each has of its server, as Prometheus reads them.

prometheus_client's own counters take a lock for each number and look at every bucket; here a call costs a few additions, and what is exposed
is put together when somebody reads it. Belongs to one event loop, on which it is read as well.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from wharfinger_mcp.connect import Connect

OVERHEAD_BUCKETS: Final = (50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 50e-3, 0.25)
CALL_BUCKETS: Final = (2e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
MAX_TOOLS: Final = 2000
"""Tools with series of their own, in the life of the process; calls of all others are counted together."""
OTHERS: Final = ("(other)", "(other)", "(other)")
_LABELS: Final = ("gateway", "server", "tool")

Tool = tuple[str, str, str]
"""Gateway, server and tool."""


class Times:
    """How often something took how long."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, labels: tuple[str, ...]) -> None:
        """Put them into what is exposed."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(names, map(float, accumulate(self._counts)), strict=True)), self._sum)


class _OfATool:
    __slots__ = ("outcomes", "times")

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.times = Times(CALL_BUCKETS)


class CallMetrics(Collector):
    """The metrics of calls."""

    def __init__(self) -> None:
        self._tools: dict[Tool, _OfATool] = {}
        self._overhead = Times(OVERHEAD_BUCKETS)
        self._connects = dict.fromkeys(Connect, 0)

    def tool(self, tool: Tool, outcome: str, seconds: float) -> None:
        """Count a call of a tool."""
        found = self._tools.get(tool) or self._new(tool)
        found.outcomes[outcome] = found.outcomes.get(outcome, 0) + 1
        found.times.add(seconds)

    def overhead(self, seconds: float) -> None:
        """Count what of a call's time was not spent waiting for the server."""
        self._overhead.add(seconds)

    def connected(self, how: Connect) -> None:
        """Count how a request came by its connection to a server."""
        self._connects[how] += 1

    def describe(self) -> Iterator[Metric]:
        """Return what is exposed, for its names."""
        yield from self.collect()

    def collect(self) -> Iterator[Metric]:
        """Return what is exposed."""
        calls = CounterMetricFamily("wharfinger_gateway_calls", "Tool calls, by outcome.", labels=(*_LABELS, "outcome"))
        seconds = HistogramMetricFamily("wharfinger_gateway_call_seconds", "Time of tool calls.", labels=_LABELS)
        about = "Time of calls, also those for prompts, resources and completion, that was not spent waiting for the server."
        overhead = HistogramMetricFamily("wharfinger_gateway_overhead_seconds", about, labels=())
        for tool, found in self._tools.items():
            for outcome, count in found.outcomes.items():
                calls.add_metric((*tool, outcome), count)
            found.times.add_to(seconds, tool)
        self._overhead.add_to(overhead, ())
        about = "Requests to servers, by how they came by a connection."
        connects = CounterMetricFamily("wharfinger_gateway_upstream_connects", about, labels=("outcome",))
        for how, count in self._connects.items():
            connects.add_metric((how.value,), count)
        yield from (calls, seconds, overhead, connects)

    def _new(self, tool: Tool) -> _OfATool:
        if len(self._tools) >= MAX_TOOLS:
            tool = OTHERS
        return self._tools.setdefault(tool, _OfATool())
