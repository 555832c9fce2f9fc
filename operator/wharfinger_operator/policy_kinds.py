"""Kinds of policy that providers bring: followed only where the cluster serves them, and from the moment on that it does.

Invariants: the operator starts without them, and without the right to see them; a kind is used only when all of its objects have been seen, so
that none is taken for missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.informer import Informer
from wharfinger_cluster.resource import CUSTOM_RESOURCE_DEFINITION, Object, Resource, Scope
from wharfinger_operator.cluster_facts import PolicyKind
from wharfinger_operator.cluster_reading import DOMAINS, policy_kind
from wharfinger_operator.copies import Copies

SETTLED: Final = 10.0
"""Seconds after which the operator goes on without what it could not see."""


class PolicyKinds:
    """What is served, and the copies of our objects of it."""

    def __init__(self, cluster: Cluster, copies: Copies, on_change: Callable[[], None]) -> None:
        self._copies = copies
        self._on_change = on_change
        self._definitions = {resource: self._definition(cluster, resource) for resource in DOMAINS}
        self._followed: dict[Resource, tuple[Informer, ...]] = {}
        self._tasks: dict[Resource, list[asyncio.Task[None]]] = {}

    @property
    def informers(self) -> tuple[Informer, ...]:
        """Those that look for the kinds themselves."""
        return tuple(self._definitions.values())

    def state(self) -> Mapping[str, PolicyKind]:
        """Return every kind by its name, and what is wrong with it."""
        return {resource.kind: self._state(resource) for resource in DOMAINS}

    async def run(self) -> None:
        """Follow until cancelled."""
        looking = [asyncio.create_task(informer.run()) for informer in self.informers]
        try:
            await asyncio.gather(*looking)
        finally:
            tasks = [*looking, *(task for each in self._tasks.values() for task in each)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Return when it is known what is served and what is there of it, or cannot be for now."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLED):
                await _all_seen(self.informers)
                await _all_seen(tuple(informer for followed in self._followed.values() for informer in followed))

    def _definition(self, cluster: Cluster, resource: Resource) -> Informer:
        # By name: that is all the operator has a right to, and definitions are large.
        return Informer(
            cluster, CUSTOM_RESOURCE_DEFINITION, Scope(fields=f"metadata.name={resource}"),
            on_change=lambda *_: self._look(resource), transform=partial(_judged, resource),
        )  # fmt: skip

    def _look(self, resource: Resource) -> None:
        """Begin or end to follow a kind, as its definition says."""
        usable = not self._served(resource).problem
        if usable and resource not in self._followed:
            informers = self._followed[resource] = self._copies.follow(resource)
            self._tasks[resource] = [asyncio.create_task(informer.run()) for informer in informers]
            self._tasks[resource].append(asyncio.create_task(self._announce(informers)))
        elif not usable:
            if resource in self._followed:
                del self._followed[resource]
                for task in self._tasks.pop(resource):
                    task.cancel()
                self._copies.unfollow(resource)
            self._on_change()

    async def _announce(self, informers: tuple[Informer, ...]) -> None:
        """Let everything be looked at again when the kind can be used, and before where that takes long."""
        try:
            async with asyncio.timeout(SETTLED):
                await _all_seen(informers)
        except TimeoutError:
            self._on_change()
            await _all_seen(informers)
        self._on_change()

    def _served(self, resource: Resource) -> PolicyKind:
        informer = self._definitions[resource]
        if (definition := informer.get(str(resource))) is not None:
            found: PolicyKind = definition["found"]
            return found
        if informer.synced.is_set() or informer.problem is None:
            return PolicyKind(f"the cluster serves no {resource}")
        return PolicyKind(f"the operator cannot see whether the cluster serves {resource} ({informer.problem})", unread=True)

    def _state(self, resource: Resource) -> PolicyKind:
        if (served := self._served(resource)).problem:
            return served
        unseen = [informer for informer in self._followed.get(resource, ()) if not informer.synced.is_set()]
        why = next((f" ({informer.problem})" for informer in unseen if informer.problem), "")
        return PolicyKind(f"the operator has not seen the {resource} that are there{why}", unread=True) if unseen else PolicyKind()


async def _all_seen(informers: tuple[Informer, ...]) -> None:
    for informer in informers:
        await informer.synced.wait()


def _judged(resource: Resource, definition: Object) -> Object:
    """Return a small object in place of a definition of hundreds of kilobytes."""
    meta = {key: definition["metadata"].get(key) for key in ("name", "uid", "resourceVersion")}
    return {"kind": definition["kind"], "metadata": meta, "found": policy_kind(definition, resource)}
