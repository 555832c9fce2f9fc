"""The spine: observe, plan, diff, execute, report."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.events import EventRecorder
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import CONFIG_MAP
from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.base import Object, Status
from wharfinger_crds.duration import seconds
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY, TOKEN, Kind
from wharfinger_crds.registry_entry import DiscoverySettings
from wharfinger_operator.diff import Changes, diff, key_of
from wharfinger_operator.diff import Key as ChildKey
from wharfinger_operator.discover import Discoverer, Question
from wharfinger_operator.execute import execute
from wharfinger_operator.observe import Observer
from wharfinger_operator.plan.entry import entry_status
from wharfinger_operator.plan.environment import environment_status
from wharfinger_operator.plan.gateway import gateway_status
from wharfinger_operator.plan.installation import InstallationPlan, plan_installation
from wharfinger_operator.plan.token import token_status
from wharfinger_operator.status import deployment_of, installation_status, workload_finding
from wharfinger_operator.triggers import Key
from wharfinger_operator.world import InstallationWorld

_log = logging.getLogger(__name__)


def rfc3339() -> str:
    """Return the time as conditions hold it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Reconciler:
    """Brings one object after the other to its desired state."""

    cluster: Cluster
    observer: Observer
    discoverer: Discoverer
    recorder: EventRecorder
    now: Callable[[], str] = rfc3339

    async def reconcile(self, key: Key) -> float | None:
        """Work on one key; return seconds after which to look again, or None. Raises ClusterError to be tried again."""
        match key.kind:
            case INSTALLATION.kind:
                await self.installation(key.namespace, key.name)
            case REGISTRY_ENTRY.kind:
                await self._report(REGISTRY_ENTRY, self.observer.entry(key.name), "entry", entry_status)
            case ENVIRONMENT.kind:
                await self._report(ENVIRONMENT, self.observer.environment(key.name), "environment", environment_status)
            case GATEWAY.kind:
                await self._report(GATEWAY, self.observer.gateway(key.namespace, key.name), "gateway", gateway_status)
            case TOKEN.kind:
                return await self.token(key.namespace, key.name)
        return None

    async def installation(self, namespace: str, name: str) -> None:
        """Bring one installation, or what is left of it, to its desired state."""
        world = self.observer.installation(namespace, name, self.discoverer.result(namespace, name))
        if world.installation is None and (world.owned or self.discoverer.knows(namespace, name)) and await self._exists(namespace, name):
            return
        plan = plan_installation(world)
        existing = frozenset(("ConfigMap", world.settings.namespaces.system, stored) for stored in world.stored)
        changes = diff(plan.desired, world.owned, existing)
        refused = await execute(self.cluster, changes, self._foreignness(world), self.observer.copies.took)
        if refused is not None:
            plan = replace(plan, accepted=refused)
        if changes != Changes():
            world = self.observer.installation(namespace, name, self.discoverer.result(namespace, name))
        self._ask(world, plan)
        status = installation_status(world, plan, self.now())
        if world.installation is not None and status is not None:
            await self._write(INSTALLATION, world.installation, status)
        if world.installation is None:
            await self.sweep_definitions()

    async def token(self, namespace: str, name: str) -> float | None:
        """Say whether a token counts, and look again when it ends."""
        world = self.observer.token(namespace, name, self.now())
        if world is None:
            return None
        await self._write(TOKEN, world.token, token_status(world, self.now()))
        ends = world.token.spec.expires_at
        left = (datetime.fromisoformat(ends) - datetime.fromisoformat(world.now)).total_seconds() if ends else 0
        return min(left + 1, 86400.0) if left > 0 else None

    async def sweep_definitions(self) -> None:
        """Delete tool definitions that no installation names any more."""
        used = self.observer.own.index.tools() | self.discoverer.definitions()
        for stored in sorted(set(self.observer.copies.stored()) - used):
            try:
                await self.cluster.delete(CONFIG_MAP, stored, self.observer.settings.namespaces.system)
            except NotFound:
                continue

    def _foreignness(self, world: InstallationWorld) -> Callable[[ChildKey], bool | None]:
        ours, copies = frozenset(key_of(manifest) for manifest in world.owned), self.observer.copies

        def is_foreign(key: ChildKey) -> bool | None:
            if key in ours or key in world.strangers:
                return key in world.strangers
            return False if copies.sees_all(key[0], key[1]) else None

        return is_foreign

    async def _exists(self, namespace: str, name: str) -> bool:
        """Ask the API server before deleting what an installation caused: a copy may be stale."""
        try:
            found = await self.cluster.get(kind_resource(INSTALLATION), name, namespace)
        except NotFound:
            return False
        self.observer.own.take(INSTALLATION, None, found)
        return True

    def _ask(self, world: InstallationWorld, plan: InstallationPlan) -> None:
        """Let the server be asked for its tools while it is there to answer."""
        if world.installation is None:
            self.discoverer.forget(world.namespace, world.name)
        elif plan.connection is None or workload_finding(world, plan).status != "True":
            self.discoverer.pause(world.namespace, world.name)
        else:
            deployment = deployment_of(world, plan)
            declared = (world.entry.spec.discovery if world.entry else None) or DiscoverySettings()
            revision = deployment["metadata"].get("generation", 0) if deployment else 0
            self.discoverer.ask(Question(plan.connection, revision, seconds(declared.interval), seconds(declared.timeout)))

    async def _report(self, kind: Kind, world: Any, field: str, status_of: Callable[[Any, str], Status]) -> None:
        if world is not None:
            await self._write(kind, getattr(world, field), status_of(world, self.now()))

    async def _write(self, kind: Kind, found: Object, status: Status) -> None:
        before: Status = found.status  # type: ignore[attr-defined]  # each of our kinds has one
        if status == before:
            return
        meta = found.metadata
        body: dict[str, Any] = {
            "apiVersion": names.API_VERSION,
            "kind": kind.kind,
            "metadata": {"name": meta.name, **({"namespace": meta.namespace} if meta.namespace else {}), "uid": meta.uid},
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        try:
            self.observer.own.took(kind, await self.cluster.apply(kind_resource(kind), body, subresource="status"))
        except NotFound:
            return
        self._tell(body, before, status)

    def _tell(self, manifest: dict[str, Any], before: Status, status: Status) -> None:
        ready, was = status.condition(c.READY), before.condition(c.READY)
        if ready is not None and (was is None or (was.status, was.reason) != (ready.status, ready.reason)):
            self.recorder.record(manifest, "Normal" if ready.status == "True" else "Warning", ready.reason, ready.message or ready.reason)
            _log.info(
                "%s %s/%s: Ready=%s %s",
                manifest["kind"],
                manifest["metadata"].get("namespace", ""),
                manifest["metadata"]["name"],
                ready.status,
                ready.reason,
            )
