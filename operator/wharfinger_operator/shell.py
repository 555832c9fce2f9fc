"""kopf around the operator: process, login, and the events of our kinds, which only enqueue.

No create, update, delete, resume or field handler, no timer, daemon or index: each of them writes annotations or
finalizers on the objects of users.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import kopf

from wharfinger_cluster.login import Login
from wharfinger_crds import names
from wharfinger_crds.kinds import Kind

OnEvent = Callable[[Kind, str | None, dict[str, Any]], None]


class NoDiffBase(kopf.DiffBaseStorage):
    """Nothing to compare with: only change handlers need what an object was, and copying it took most of the time of each event."""

    def build(self, **_: object) -> kopf.BodyEssence:
        """Return an empty essence."""
        return kopf.BodyEssence()

    def fetch(self, **_: object) -> None:
        """Know of none."""

    def store(self, **_: object) -> None:
        """Keep none."""


class EndlessBackoff:
    """Pauses for kopf between attempts, without an end: an outage of the API server is waited for, never died of."""

    def __iter__(self) -> Iterator[float]:
        """Yield seconds: growing to a minute, half of it jitter."""
        pause = 1.0
        while True:
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
            pause = min(pause * 2, 60.0)


def shell(login: Login, kinds: Iterable[Kind], on_event: OnEvent, on_signal: Callable[[], None]) -> kopf.OperatorRegistry:
    """Return the registry with everything that kopf is to do; `on_signal` is called at SIGTERM and SIGINT."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    async def configure(settings: kopf.OperatorSettings, **_: object) -> None:
        # kopf has taken them for itself, and would end the tasks of others after five seconds of waiting for them.
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, on_signal)
        settings.scanning.disabled = True
        settings.posting.enabled = False
        settings.watching.chunk_size = 500
        settings.networking.error_backoffs = EndlessBackoff()
        settings.persistence.diffbase_storage = NoDiffBase()
        settings.persistence.finalizer = f"{names.GROUP}/finalizer"
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)

    @kopf.on.login(registry=registry)
    async def log_in(**_: object) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=login.server, default_namespace=login.namespace, aiohttp_session=login.session())

    for kind in kinds:
        _follow(registry, kind, on_event)
    return registry


def _follow(registry: kopf.OperatorRegistry, kind: Kind, on_event: OnEvent) -> None:
    @kopf.on.event(names.GROUP, names.VERSION, kind.plural, registry=registry, id=kind.plural)
    async def enqueue(type: str | None, body: kopf.Body, **_: object) -> None:  # noqa: A002 - kopf's name
        on_event(kind, type, dict(body))


async def run_kopf(registry: kopf.OperatorRegistry, identity: str) -> None:
    """Run kopf until cancelled; it then ends every task that was begun since, whosever it is."""
    # Named, because kopf would else look its user up, and a pod's uid stands in no /etc/passwd.
    await kopf.operator(registry=registry, identity=identity, clusterwide=True, standalone=True)  # type: ignore[arg-type]  # a private NewType of str
