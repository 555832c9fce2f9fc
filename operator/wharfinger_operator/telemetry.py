"""Metrics of reconciliation, and what the probes answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from wharfinger_cluster.informer import Informer
from wharfinger_cluster.resource import Resource
from wharfinger_cluster.workqueue import WorkQueue

STUCK_AFTER: Final = 300.0
"""Seconds that one key may wait or be worked on until the process counts as hung."""


class Telemetry:
    """The operator's metrics and health."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.leader = Gauge("wharfinger_operator_leader", "1 where this process is the leader", registry=self.registry)
        self._requests = Counter(
            "wharfinger_api_requests", "Requests to the API server", ("verb", "resource", "status"), registry=self.registry
        )
        self._counters: dict[tuple[str, str, int], Counter] = {}
        """Of requests, by their labels: to find one anew costs more than to count."""
        self._of_kind: dict[str, tuple[Histogram, Counter]] = {}
        self._reconciled = Histogram("wharfinger_reconcile_seconds", "Time for one object", ("kind",), registry=self.registry)
        self._failed = Counter("wharfinger_reconcile_errors", "Attempts that failed and are repeated", ("kind",), registry=self.registry)
        self._discoveries = Counter(
            "wharfinger_discoveries", "Answers to what servers were asked, by reason", ("reason",), registry=self.registry
        )
        self._depth = Gauge("wharfinger_queue_length", "Objects that wait", registry=self.registry)
        self._oldest = Gauge("wharfinger_queue_age_seconds", "Time since the oldest object that waits was added", registry=self.registry)
        self._staleness = Gauge(
            "wharfinger_copy_age_seconds", "Time since the API server last spoke, the oldest copy", registry=self.registry
        )
        self._settings = Gauge(
            "wharfinger_settings_valid", "0 where the newest platform settings are wrong and old ones are in force", registry=self.registry
        )
        self._settings.set(1)
        self._queue: WorkQueue[Any] | None = None

    def request(self, verb: str, resource: Resource, status: int, _: float) -> None:
        """Count one request to the API server."""
        found = verb, resource.plural, status
        counter = self._counters.get(found)
        if counter is None:
            counter = self._counters[found] = self._requests.labels(verb, resource.plural, str(status))
        counter.inc()

    def watch(self, queue: WorkQueue[Any], informers: Callable[[], Iterable[Informer]]) -> None:
        """Show the state of the queue and the copies from now on."""
        self._queue = queue
        self._depth.set_function(lambda: float(len(queue)))
        self._oldest.set_function(queue.age)
        self._staleness.set_function(lambda: max((time.monotonic() - i.last_contact for i in informers()), default=0.0))

    def settings_valid(self, *, valid: bool) -> None:
        """Say whether the newest platform settings could be read."""
        self._settings.set(1 if valid else 0)

    def discovered(self, reason: str) -> None:
        """Count how asking a server for what it offers ended; `reason` is a condition's."""
        self._discoveries.labels(reason).inc()

    @contextmanager
    def reconciliation(self, kind: str) -> Iterator[None]:
        """Time one reconciliation."""
        found = self._of_kind.get(kind)
        if found is None:
            found = self._of_kind[kind] = self._reconciled.labels(kind), self._failed.labels(kind)
        with found[0].time(), found[1].count_exceptions():
            yield

    def application(self) -> web.Application:
        """Return the probes: /livez, /readyz and /metrics. A standby is ready, so that a rollout can finish."""
        app = web.Application()
        app.add_routes([web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)])
        return app

    async def _livez(self, _: web.Request) -> web.Response:
        age = self._queue.age() if self._queue else 0.0
        if age > STUCK_AFTER:
            return web.Response(status=503, text=f"one object has been waited for or worked on for {age:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
