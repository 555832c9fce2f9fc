"""kopf around the operator: it lists and watches our kinds, and its handlers only hand events over.

No create, update, delete, resume or field handler, no timer, daemon or index: each of them writes annotations or
finalizers on the objects of users.

A watcher of kopf ends at a line that is no event, an ERROR event or an answer of 400 or 410, and kopf with it; it takes the
signals of its process, and cancels whatever task was begun after it. So it runs on a thread of its own and is begun anew
whenever it ends.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Collection, Iterator
from typing import Any, Final

import kopf

from wharfinger_cluster.backoff import delay
from wharfinger_cluster.client import SILENCE
from wharfinger_cluster.login import Login
from wharfinger_crds import names
from wharfinger_crds.kinds import Kind
from wharfinger_operator.kopf_session import kopf_session
from wharfinger_operator.own_objects import PAGE, OwnObjects
from wharfinger_operator.own_thread import on_own_thread

RETRY_BASE, RETRY_CAP = 0.5, 10.0
HEALTHY_AFTER: Final = 10.0
"""Seconds after which a run of kopf that ended counts as a good one."""
LISTS_WITHIN: Final = 15.0
"""Seconds in which kopf must have listed every kind: where discovery leaves one out, it idles for good."""

_log = logging.getLogger(__name__)


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
        """Yield seconds: growing to RETRY_CAP, half of it jitter."""
        pause = 1.0
        while True:
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
            pause = min(pause * 2, RETRY_CAP)


class IdleError(Exception):
    """kopf runs, but does not follow every kind."""


class Shell:
    """kopf, for as long as it is wanted; what it hears is handed over in the loop of `run`."""

    def __init__(self, login: Login, identity: str, kinds: Collection[Kind], own: OwnObjects) -> None:
        self._login = login
        self._identity = identity
        self._kinds = {kind.plural: kind for kind in kinds}
        self._own = own
        self._listed: set[Kind] = set()
        """In this run of kopf."""

    async def run(self) -> None:
        """Let kopf follow our kinds until cancelled; it begins with a list of each whenever it is begun anew."""
        _let_be_brief()
        failures = 0
        while True:
            began = time.monotonic()
            try:
                await self._once()
            except Exception as error:  # noqa: BLE001 - kopf dies of anything, and whoever follows nothing any more must not go on silently
                _log.warning("kopf ended: %s: %s; beginning it anew", type(error).__name__, str(error)[:500])
            failures = 1 if time.monotonic() - began >= HEALTHY_AFTER else failures + 1
            await asyncio.sleep(delay(failures, RETRY_BASE, RETRY_CAP))

    async def _once(self) -> None:
        self._listed.clear()
        home = asyncio.get_running_loop()
        running = asyncio.create_task(on_own_thread(lambda: self._kopf(home), "kopf"))
        try:
            await asyncio.wait({running}, timeout=LISTS_WITHIN)
            if not running.done() and (left_out := sorted(self._kinds.keys() - {kind.plural for kind in self._listed})):
                raise IdleError(f"within {LISTS_WITHIN:.0f} s it listed no {', '.join(left_out)}")
            await running
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def _kopf(self, home: asyncio.AbstractEventLoop) -> None:
        """Run kopf in a loop that is not `home`."""
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def log_in(**_: object) -> kopf.AiohttpSession:
            return kopf_session(self._login, lambda plural: home.call_soon_threadsafe(self._lists, plural), self._knows, home)

        for kind in self._kinds.values():
            self._follow(registry, kind, home)
        # Named, because kopf would else look its user up, and a pod's uid stands in no /etc/passwd.
        name: Any = self._identity
        tasks = await kopf.spawn_tasks(registry=registry, settings=_settings(), identity=name, clusterwide=True, standalone=True)
        # Not kopf.run_tasks: after an error it closes the session first and waits for ever for watches that it never cancelled.
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()

    def _follow(self, registry: kopf.OperatorRegistry, kind: Kind, home: asyncio.AbstractEventLoop) -> None:
        @kopf.on.event(names.GROUP, names.VERSION, kind.plural, registry=registry, id=kind.plural)
        async def hand_over(type: str | None, body: kopf.Body, **_: object) -> None:  # noqa: A002 - kopf's name
            home.call_soon_threadsafe(self._own.take, kind, type, dict(body))

    def _knows(self, plural: str, namespace: str, name: str, version: int) -> bool:
        kind = self._kinds.get(plural)
        return kind is not None and self._own.knows(kind, (namespace, name), version)

    def _lists(self, plural: str) -> None:
        if kind := self._kinds.get(plural):
            self._listed.add(kind)
            self._own.doubt(kind)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.watching.chunk_size = PAGE
    settings.watching.inactivity_timeout = SILENCE
    settings.networking.error_backoffs = EndlessBackoff()
    settings.networking.request_timeout = 60.0
    settings.networking.connect_timeout = 10.0
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.finalizer = f"{names.GROUP}/finalizer"
    # It would kill the process.
    settings.process.ultimate_exiting_timeout = None
    return settings


def _let_be_brief() -> None:
    # At each event and each beginning, kopf says what is meant to be so; of each end, it prints the stack several times.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    for part in ("running", "orchestration", "queueing"):
        logging.getLogger(f"kopf._core.reactor.{part}").addFilter(_without_stack)


def _without_stack(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
