"""Kinds of policy that providers bring: followed only where the cluster serves them, and from the moment on that it does.

Invariants: the operator starts without them, and without the right to see them; a kind is used only when all of its objects have been seen, so
that none is taken for missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.informer import Informer
from wharfinger_cluster.resource import (
    APPLICATION_NETWORK_POLICY,
    CILIUM_NETWORK_POLICY,
    CUSTOM_RESOURCE_DEFINITION,
    FQDN_NETWORK_POLICY,
    Object,
    Resource,
    Scope,
)
from wharfinger_operator.copies import Copies
from wharfinger_operator.world import PolicyKind

SETTLED: Final = 10.0
"""Seconds after which the operator goes on without what it could not see."""
_DOMAINS: Final[Mapping[Resource, tuple[str, ...]]] = {
    CILIUM_NETWORK_POLICY: ("toFQDNs",),
    APPLICATION_NETWORK_POLICY: ("to", "domainNames"),
    FQDN_NETWORK_POLICY: ("matches",),
}
"""Where below `spec.egress` a schema names domains: what tells a kind from another project's of the same name."""


class PolicyKinds:
    """What is served, and the copies of our objects of it."""

    def __init__(self, cluster: Cluster, copies: Copies, on_change: Callable[[], None]) -> None:
        self._copies = copies
        self._on_change = on_change
        self._definitions = {resource: self._definition(cluster, resource) for resource in _DOMAINS}
        self._followed: dict[Resource, tuple[Informer, ...]] = {}
        self._tasks: dict[Resource, list[asyncio.Task[None]]] = {}

    @property
    def informers(self) -> tuple[Informer, ...]:
        """Those that look for the kinds themselves."""
        return tuple(self._definitions.values())

    def state(self) -> Mapping[str, PolicyKind]:
        """Return every kind by its name, and what is wrong with it."""
        return {resource.kind: PolicyKind(self._problem(resource)) for resource in _DOMAINS}

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
        usable = not self._definition_problem(resource)
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

    def _definition_problem(self, resource: Resource) -> str:
        informer = self._definitions[resource]
        found = informer.get(str(resource))
        if found is not None:
            return str(found["problem"])
        if informer.synced.is_set() or informer.problem is None:
            return f"the cluster serves no {resource}"
        return f"the operator cannot see whether the cluster serves {resource} ({informer.problem})"

    def _problem(self, resource: Resource) -> str:
        if problem := self._definition_problem(resource):
            return problem
        unseen = [informer for informer in self._followed.get(resource, ()) if not informer.synced.is_set()]
        why = next((f" ({informer.problem})" for informer in unseen if informer.problem), "")
        return f"the operator has not seen the {resource} that are there{why}" if unseen else ""


async def _all_seen(informers: tuple[Informer, ...]) -> None:
    for informer in informers:
        await informer.synced.wait()


def definition_problem(definition: Mapping[str, Any], resource: Resource) -> str:
    """Return why a CustomResourceDefinition does not serve a kind as we write it; empty where it does."""
    # Of a definition that was just made they are null.
    conditions = {c["type"]: c["status"] for c in (definition.get("status") or {}).get("conditions") or ()}
    if definition["metadata"].get("deletionTimestamp") or conditions.get("Established") != "True":
        return f"the cluster does not serve {resource} yet, or not any more"
    version = next((v for v in definition["spec"]["versions"] if v["name"] == resource.version and v["served"]), None)
    if version is None:
        return f"the cluster's {resource} have no version {resource.version}"
    schema = _below(version.get("schema", {}).get("openAPIV3Schema", {}), "spec", "egress", *_DOMAINS[resource])
    return "" if schema else f"the cluster's {resource} are another project's of the same name: they know no domains"


def _below(schema: Mapping[str, Any], *path: str) -> Mapping[str, Any] | None:
    for name in path:
        schema = schema.get("items", schema).get("properties", {}).get(name, {})
    return schema or None


def _judged(resource: Resource, definition: Object) -> Object:
    """Return a small object in place of a definition of hundreds of kilobytes."""
    meta = {key: definition["metadata"].get(key) for key in ("name", "uid", "resourceVersion")}
    return {"kind": definition["kind"], "metadata": meta, "problem": definition_problem(definition, resource)}
