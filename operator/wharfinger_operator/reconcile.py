"""The spine: observe, plan, diff, execute, report."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.events import EventRecorder
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import CONFIG_MAP
from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.base import Object, Status
from wharfinger_crds.duration import seconds
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY, TOKEN, Kind
from wharfinger_crds.registry_entry import DiscoverySettings
from wharfinger_operator.admission import Admission
from wharfinger_operator.ask_bridge import BridgeAsker
from wharfinger_operator.diff import Changes, diff
from wharfinger_operator.discover import Discoverer, Question
from wharfinger_operator.execute import execute
from wharfinger_operator.image_lookup import ImageLookup
from wharfinger_operator.observe import Observer
from wharfinger_operator.plan.egress import POLICY_KINDS
from wharfinger_operator.plan.entry import entry_status
from wharfinger_operator.plan.environment import environment_status, probe_known, probe_question
from wharfinger_operator.plan.gateway import gateway_status
from wharfinger_operator.plan.installation import InstallationPlan, plan_installation
from wharfinger_operator.plan.move import plan_move
from wharfinger_operator.plan.rollout import is_behind, limit
from wharfinger_operator.plan.token import token_status
from wharfinger_operator.plan.tools import is_told
from wharfinger_operator.probe import Prober
from wharfinger_operator.status import deployment_of, installation_status, workload_finding
from wharfinger_operator.triggers import Key
from wharfinger_operator.world import InstallationWorld, Manifest, key_of
from wharfinger_operator.world import Key as ChildKey

_log = logging.getLogger(__name__)


REFUSED: Final = 30.0
"""Seconds after which what the API server refused is tried again: rights, policies and quotas change without an event of ours."""
TURN: Final = 10.0
"""Seconds after which an installation whose turn has not come is looked at again, if nothing says it earlier."""


def rfc3339() -> str:
    """Return the time as conditions hold it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fenced(plan: InstallationPlan, world: InstallationWorld) -> tuple[tuple[dict[str, Any], ...] | None, tuple[Manifest, ...]]:
    """Return what to compare: everything, or what fences a server alone where the rest waits or stays. Tighter rules never wait."""
    if plan.desired is None and plan.fence:
        fence = {key_of(o) for o in plan.fence}
        return plan.fence, tuple(o for o in world.owned if key_of(o) in fence)
    if not plan.waits or plan.desired is None:
        return plan.desired, world.owned
    policies = tuple(o for o in plan.desired if o["kind"] in POLICY_KINDS)
    return policies, tuple(o for o in world.owned if o["kind"] in POLICY_KINDS)


@dataclass
class Reconciler:
    """Brings one object after the other to its desired state."""

    cluster: Cluster
    observer: Observer
    discoverer: Discoverer
    bridges: BridgeAsker
    images: ImageLookup
    prober: Prober
    recorder: EventRecorder
    wake: Callable[[Key], None]
    """Lets a key be worked on soon."""
    now: Callable[[], str] = rfc3339
    admission: Admission = field(default_factory=Admission)
    _waiting: dict[str, dict[Key, None]] = field(default_factory=dict)
    """Installations whose turn has not come, by entry."""

    async def reconcile(self, key: Key) -> float | None:
        """Work on one key; return seconds after which to look again, or None. Raises ClusterError to be tried again."""
        match key.kind:
            case INSTALLATION.kind:
                return await self.installation(key.namespace, key.name)
            case REGISTRY_ENTRY.kind:
                await self._report(REGISTRY_ENTRY, self.observer.entry(key.name), "entry", entry_status)
            case ENVIRONMENT.kind:
                await self.environment(key.name)
            case GATEWAY.kind:
                await self._report(GATEWAY, self.observer.gateway(key.namespace, key.name), "gateway", gateway_status)
            case TOKEN.kind:
                return await self.token(key.namespace, key.name)
        return None

    async def installation(self, namespace: str, name: str) -> float | None:
        """Bring one installation, or what is left of it, to its desired state; look again where it waits for its turn."""
        world = self._look(namespace, name)
        left = world.installation is None and (world.owned or self.discoverer.knows(namespace, name))
        # A copy may be stale: nothing is deleted before the API server has said that it is gone.
        if left and await self.observer.own.look_up(INSTALLATION, name, namespace):
            return None
        plan = plan_move(world, plan_installation(world))
        answer = self.images.ask(namespace, name, plan.question)
        if answer:
            world = replace(world, image=answer)
            plan = plan_move(world, plan_installation(world))
        existing = frozenset(("ConfigMap", world.settings.namespaces.system, stored) for stored in world.stored)
        changes = diff(*fenced(plan, world), existing, self.admission.answers, plan.spares)
        with self.observer.copies.rolls(namespace, name, rolls=not plan.waits and is_behind(world.entry, world.installation)):
            refused = await execute(self.cluster, changes, self._foreignness(world), self.admission, self.observer.copies.took)
        if changes != Changes():
            world = replace(self._look(namespace, name), image=answer)
        if said := refused or self.admission.finding(plan.desired or (), world.owned):
            plan = replace(plan, accepted=said)
        if not plan.waits:
            self._ask(world, plan)
        self._ask_bridge(world)
        status = installation_status(world, plan, self.now())
        if status is not None and world.installation is not None and not self._can_wait(world.installation, status):
            await self._write(INSTALLATION, world.installation, status)
        if world.installation is None:
            await self.sweep_definitions()
        turn = self._turn(world, plan)
        return turn if refused is None else REFUSED

    def _look(self, namespace: str, name: str) -> InstallationWorld:
        return self.observer.installation(namespace, name, self.discoverer.result(namespace, name), self.bridges.found(namespace, name))

    def _turn(self, world: InstallationWorld, plan: InstallationPlan) -> float | None:
        """Remember who waits; let the next ones be looked at where a server of their entry has changed."""
        if world.installation is None:
            return None
        key, waiting = (
            Key(INSTALLATION.kind, world.namespace, world.name),
            self._waiting.setdefault(world.installation.spec.entry_ref.name, {}),
        )
        if plan.waits:
            waiting[key] = None
            return TURN * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
        waiting.pop(key, None)
        for following in tuple(waiting)[: limit(len(waiting))]:
            self.wake(following)
        if not waiting:
            del self._waiting[world.installation.spec.entry_ref.name]
        return None

    def _can_wait(self, installation: Installation, status: Status) -> bool:
        """Tell whether a status says next to nothing, since the server is just being asked for its tools: the answer makes one write of two."""
        meta = installation.metadata
        return status != installation.status and self.discoverer.withholds(meta.namespace, meta.name)

    async def environment(self, name: str) -> None:
        """Say what is known of an environment, and let it be probed where it asks for that."""
        world = self.observer.environment(name, self.prober.result(name))
        question = probe_question(world) if world else None
        if question is None:
            self.prober.forget(name)
        else:
            self.prober.ask(question, known=world is not None and probe_known(world))
        await self._report(ENVIRONMENT, self.observer.environment(name, self.prober.result(name)), "environment", environment_status)

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
            question = Question(plan.connection, revision, seconds(declared.interval), seconds(declared.timeout))
            # A server that moves is waited for.
            self.discoverer.ask(question, known=is_told(world) and not plan.spared)

    def _ask_bridge(self, world: InstallationWorld) -> None:
        """Let the bridge of the newest pod that is not ready be asked why."""
        hosted = world.entry.spec.self_hosted if world.entry else None
        stdio = world.installation is not None and hosted is not None and hosted.transport == "Stdio"
        self.bridges.ask(world.namespace, world.name, next((p for p in reversed(world.pods) if p.address), None) if stdio else None)

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
            answer = await self.cluster.apply(kind_resource(kind), body, subresource="status")
            if answer["status"] != body["status"] and type(status).model_validate(answer["status"]) != status:
                # Somebody else wrote there too, such as a restored backup: server-side apply would leave it for ever.
                exactly = {"status": _replacing(answer["status"], body["status"])}
                answer = await self.cluster.patch(kind_resource(kind), meta.name, exactly, meta.namespace, subresource="status")
        except NotFound:
            return
        self.observer.own.took(kind, answer)
        self._tell(body, before, status)

    def _tell(self, manifest: dict[str, Any], before: Status, status: Status) -> None:
        ready, was = status.condition(c.READY), before.condition(c.READY)
        if ready is not None and (was is None or (was.status, was.reason) != (ready.status, ready.reason)):
            # On its way is no event: there would be several for each start, and the condition says it.
            if ready.reason not in {c.PROGRESSING, c.WAITING}:
                self.recorder.record(
                    manifest, "Normal" if ready.status == "True" else "Warning", ready.reason, ready.message or ready.reason
                )
            _log.info(
                "%s %s/%s: Ready=%s %s",
                manifest["kind"],
                manifest["metadata"].get("namespace", ""),
                manifest["metadata"]["name"],
                ready.status,
                ready.reason,
            )


def _replacing(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the merge patch (RFC 7386) that makes `wanted` of `found`."""
    both = {key: _replacing(found[key], value) if _are_objects(found.get(key), value) else value for key, value in wanted.items()}
    return dict.fromkeys(found.keys() - wanted.keys()) | both


def _are_objects(*values: Any) -> bool:
    return all(isinstance(value, dict) for value in values)
