"""What decides about egress beside our own objects: nodes, DaemonSets and ConfigMaps of kube-system, ranges of Services, the API server.

Invariants: of five thousand nodes, a few bytes each are kept; a right that is missing is a fact, not a failure; nothing is concluded before
everything has been read or refused; who asks is told only where facts or ranges have changed, and not of each heartbeat.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Forbidden, NotFound
from wharfinger_cluster.informer import ChangeType, Informer
from wharfinger_cluster.resource import (
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    DAEMON_SET,
    ENDPOINT_SLICE,
    NODE,
    SERVICE,
    SERVICE_CIDR,
    Object,
    Scope,
)
from wharfinger_operator.cluster_facts import (
    CONFIG_KEYS,
    DAEMON_SETS_READ,
    NODES_READ,
    ClusterFacts,
    DaemonSetFact,
    PolicyKind,
    config_read,
)
from wharfinger_operator.cluster_reading import config_values, daemon_set_fact, node_addresses, node_sort
from wharfinger_operator.plan.cluster_ranges import cluster_ranges, public_blocks, steady_ranges

GATHER: Final = 1.0
"""Seconds in which changes are gathered before they are looked at."""
LOOK: Final = 60.0
"""Seconds between looks that no change asks for: rights come and go without an event."""
PATIENCE: Final = 300.0
"""Seconds for which a DaemonSet without a ready pod counts as one that rolls: its rules stay in force meanwhile."""
REBUILD: Final = 3600.0
"""Seconds for which blocks are kept although their nodes have gone."""
_NODE_CLASSES: Final = "nodeclasses.eks.amazonaws.com"

_log = logging.getLogger(__name__)


class ClusterCopies:
    """The informers, and what they add up to."""

    def __init__(self, cluster: Cluster, kinds: Callable[[], Mapping[str, PolicyKind]], on_change: Callable[[], None]) -> None:
        self._kinds = kinds
        self._on_change = on_change
        self._pending: asyncio.TimerHandle | None = None
        self._ready_at: dict[str, float] = {}
        self._ranges: tuple[str, ...] = ()
        self._blocks: frozenset[str] = frozenset()
        self._rebuilt = float("-inf")
        self._facts = ClusterFacts()
        self._settled = False

        def informer(*scope: Any, transform: Callable[[Object], Object]) -> Informer:
            return Informer(cluster, *scope, on_change=self._changed, transform=transform)

        here = Scope("default", fields="metadata.name=kubernetes")
        self._nodes = informer(NODE, transform=_node)
        self._daemon_sets = informer(DAEMON_SET, Scope("kube-system"), transform=_daemon_set)
        self._config = {
            n: informer(CONFIG_MAP, Scope("kube-system", fields=f"metadata.name={n}"), transform=_config_map) for n in CONFIG_KEYS
        }
        # By name: that is all the operator has a right to, and definitions are large.
        self._node_classes = informer(CUSTOM_RESOURCE_DEFINITION, Scope(fields=f"metadata.name={_NODE_CLASSES}"), transform=_bare)
        self._services = (
            informer(SERVICE_CIDR, transform=lambda found: _bare(found, tuple(found["spec"].get("cidrs") or ()))),
            informer(SERVICE, here, transform=lambda found: _bare(found, _cluster_ips(found))),
            informer(ENDPOINT_SLICE, here, transform=lambda found: _bare(found, _endpoints(found))),
        )

    @property
    def informers(self) -> tuple[Informer, ...]:
        """All of them."""
        return (self._nodes, self._daemon_sets, *self._config.values(), self._node_classes, *self._services)

    @property
    def followed(self) -> tuple[Informer, ...]:
        """Those whose age says something: what the API server refuses is a fact, and not a copy that grows old."""
        return tuple(informer for informer in self.informers if not _is_refused(informer))

    @property
    def facts(self) -> ClusterFacts:
        """What is known of the cluster."""
        return self._facts

    @property
    def ranges(self) -> tuple[str, ...]:
        """Blocks of the cluster's own addresses beside the private ranges."""
        return self._ranges

    async def run(self) -> None:
        """Keep everything true until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self.informers:
                group.create_task(informer.run())
            group.create_task(self._keep_looking())

    async def settled(self) -> None:
        """Return when everything has been read, or is refused; an API server that does not answer is waited for."""
        for informer in self.informers:
            while not (informer.synced.is_set() or _is_refused(informer)):  # noqa: ASYNC110 - a refusal is no event
                await asyncio.sleep(0.05)
        self.look()
        self._settled = True

    def look(self) -> None:
        """Conclude anew; tell, where something is different from what was settled."""
        self._pending = None
        before = (self._facts, self._ranges)
        if (facts := self._concluded()) != self._facts:
            self._facts = facts
        self._ranges = self._steady()
        if self._settled and before != (self._facts, self._ranges):
            _log.info("the cluster's network is another, or is seen differently")
            self._on_change()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self.look()

    def _changed(self, _: ChangeType, old: Object | None, new: Object | None) -> None:
        if new is not None and isinstance(fact := new["found"], DaemonSetFact) and fact.ready:
            self._ready_at[new["metadata"]["name"]] = asyncio.get_running_loop().time()
        elif new is None and old is not None:
            self._ready_at.pop(old["metadata"]["name"], None)
        if old is not None and new is not None and old["found"] == new["found"]:
            return
        if self._pending is None:
            self._pending = asyncio.get_running_loop().call_later(GATHER, self.look)

    def _concluded(self) -> ClusterFacts:
        reads = {NODES_READ: self._nodes, DAEMON_SETS_READ: self._daemon_sets, **{config_read(n): i for n, i in self._config.items()}}
        return ClusterFacts(
            nodes=frozenset(node["found"][0] for node in self._nodes.store.values()),
            daemon_sets={name: self._patient(name, d["found"]) for (_, name), d in sorted(self._daemon_sets.store.items()) if d["found"]},
            config={name: found["found"] for name, i in self._config.items() if (found := i.get(name, "kube-system"))},
            policy_kinds=dict(self._kinds()),
            node_classes=self._node_classes.get(_NODE_CLASSES) is not None,
            unread=frozenset(name for name, informer in reads.items() if _is_refused(informer)),
        )

    def _patient(self, name: str, fact: DaemonSetFact) -> DaemonSetFact:
        recently = asyncio.get_running_loop().time() - self._ready_at.get(name, float("-inf")) < PATIENCE
        return DaemonSetFact(fact.ready or recently, fact.marks)

    def _steady(self) -> tuple[str, ...]:
        blocks, now = frozenset(self._all_blocks()), asyncio.get_running_loop().time()
        if blocks == self._blocks and now - self._rebuilt < REBUILD:
            return self._ranges
        found = cluster_ranges(blocks)
        self._blocks = blocks
        if now - self._rebuilt >= REBUILD:
            self._rebuilt = now
            return found
        return steady_ranges(self._ranges, found)

    def _all_blocks(self) -> Iterator[str]:
        for node in self._nodes.store.values():
            yield from node["found"][1]
        for informer in self._services:
            for found in informer.store.values():
                yield from found["found"]


def _is_refused(informer: Informer) -> bool:
    """Tell whether the API server says no: a missing right, or a resource that it does not serve."""
    return isinstance(informer.problem, Forbidden | NotFound)


def _bare(found: Object, what: object = None) -> Object:
    meta = {key: found["metadata"].get(key) for key in ("name", "uid", "resourceVersion")}
    if "namespace" in found["metadata"]:
        meta["namespace"] = found["metadata"]["namespace"]
    return {"kind": found["kind"], "metadata": meta, "found": what}


def _node(found: Object) -> Object:
    return _bare(found, (node_sort(found), public_blocks(node_addresses(found))))


def _daemon_set(found: Object) -> Object:
    return _bare(found, daemon_set_fact(found))


def _config_map(found: Object) -> Object:
    return _bare(found, config_values(found))


def _cluster_ips(service: Object) -> tuple[str, ...]:
    return tuple(service["spec"].get("clusterIPs") or ())


def _endpoints(found: Object) -> tuple[str, ...]:
    return tuple(address for endpoint in found.get("endpoints") or () for address in endpoint.get("addresses", ()))
