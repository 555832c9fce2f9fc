"""A pipeline in this process over manifests, and what it let out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gateway_caller import Caller
from gateway_world import Manifest, current_of
from wharfinger_gateway.current import Current
from wharfinger_gateway.pipeline import Pipeline
from wharfinger_gateway.replica import Place
from wharfinger_gateway.snapshot import Snapshot
from wharfinger_gateway.telemetry import Telemetry
from wharfinger_gateway.upstreams import Upstreams
from wharfinger_mcp.http_client import HttpClient

NOW = 1_790_000_000.0


@dataclass
class Served:
    """The pipeline and its parts."""

    current: Current
    pipeline: Pipeline
    upstreams: Upstreams
    telemetry: Telemetry
    audit: list[bytes] = field(default_factory=list)

    def caller(self, token: str | None, gateway: str = "dev.tools") -> Caller:
        """Return a client with a token."""
        return Caller(self.pipeline.serve, token, gateway)

    def put_in_force(self, snapshot: Snapshot) -> None:
        """Let another snapshot count, as the watch does."""
        self.current.publish(snapshot)
        self.upstreams.keep(snapshot)


Serve = Callable[..., Served]
"""`serve(*manifests)`: see the fixture of this name."""


def start(*parts: Manifest | Iterable[Manifest], loopback: bool = False) -> Served:
    """Return a pipeline over what these manifests say, at the time NOW."""
    current = current_of(*parts)
    audit: list[bytes] = []
    telemetry = Telemetry(audit.append)
    upstreams = Upstreams(HttpClient(observe=telemetry.connected))
    pipeline = Pipeline(current, upstreams, telemetry, Place(loopback), clock=lambda: NOW)
    return Served(current, pipeline, upstreams, telemetry, audit)
