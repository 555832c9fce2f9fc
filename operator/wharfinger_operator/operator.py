"""The operator at work: copies, queue, reconciler and discoverer, wired."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Final, TypeVar

from wharfinger_cluster.backoff import delay
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Gone, Unreachable
from wharfinger_cluster.events import EventRecorder
from wharfinger_cluster.login import Login
from wharfinger_cluster.resource import CONFIG_MAP, NAMESPACE, NETWORK_POLICY, SERVICE, Object, Resource, Scope
from wharfinger_cluster.workqueue import WorkQueue
from wharfinger_crds import names
from wharfinger_crds.base import Object as OwnObject
from wharfinger_crds.duration import seconds
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY, TOKEN, Kind
from wharfinger_crds.settings import Settings, SettingsError
from wharfinger_crds.token import Token
from wharfinger_crds.upstream_token import token_key
from wharfinger_operator import triggers
from wharfinger_operator.ask_bridge import BridgeAsker
from wharfinger_operator.ask_server import ServerAsker
from wharfinger_operator.cluster_copies import ClusterCopies
from wharfinger_operator.configuration import Configuration
from wharfinger_operator.copies import ADMISSION_RESOURCES, Copies
from wharfinger_operator.discover import Discoverer
from wharfinger_operator.grant_sweep import sweep_grants, sweep_logins
from wharfinger_operator.image_lookup import ImageLookup
from wharfinger_operator.image_registry import ImageRegistries
from wharfinger_operator.listen import Listeners
from wharfinger_operator.observe import Observer
from wharfinger_operator.own_objects import ObjectKey, OwnObjects
from wharfinger_operator.plan.identity import InstallationKey
from wharfinger_operator.platform_settings import settings_in
from wharfinger_operator.policy_kinds import PolicyKinds
from wharfinger_operator.probe import Prober
from wharfinger_operator.reconcile import Reconciler
from wharfinger_operator.root_key import ensure_root_key
from wharfinger_operator.shell import Shell
from wharfinger_operator.signing_keys import keep_signing_keys
from wharfinger_operator.telemetry import Telemetry
from wharfinger_operator.token_sweep import sweep_tokens
from wharfinger_operator.triggers import Key

RECONCILED: Final = (REGISTRY_ENTRY, ENVIRONMENT, INSTALLATION, GATEWAY, TOKEN)
GATHER: Final = 1.0
"""Seconds in which changes of installations are gathered before what only counts or lists them is looked at again."""
RETRY_BASE, RETRY_CAP = 0.5, 10.0
CHORES: Final = 600.0
"""Seconds between two turns of what is done beside reconciling."""
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Operator:
    """One running operator; made by the leader."""

    def __init__(self, cluster: Cluster, login: Login, configuration: Configuration, settings: Settings, telemetry: Telemetry) -> None:
        self._cluster = cluster
        self._configuration = configuration
        self._telemetry = telemetry
        self._stop = asyncio.Event()
        self.queue: WorkQueue[Key] = WorkQueue()
        scopes = {**dict.fromkeys(RECONCILED, Scope()), TOKEN: Scope(settings.namespaces.system)}
        self._own = OwnObjects(cluster, scopes, self._own_changed)
        self._shell = Shell(login, configuration.identity, RECONCILED, self._own)
        self._copies = Copies(cluster, settings.namespaces, self._copy_changed, self._child_changed, self._settings_changed)
        self._kinds = PolicyKinds(cluster, self._copies, self._kinds_changed)
        self._seen = ClusterCopies(cluster, self._kinds.state, self._cluster_changed)
        self._observer = Observer(self._own, self._copies, self._seen, settings, b"")
        self._asker = ServerAsker(version("wharfinger"))
        self._discoverer = Discoverer(self._asker.ask, self._look_again, Listeners(self._asker.listen), self._telemetry.discovered)
        self._recorder = EventRecorder(cluster, f"{names.GROUP}/operator", configuration.identity)
        self._bridges = BridgeAsker(cluster, self._look_again)
        self._registries = ImageRegistries()
        self._images = ImageLookup(self._registries.entry_point, self._look_again)
        self._prober = Prober(cluster, lambda name: self.queue.add(triggers.key(ENVIRONMENT, "", name)))
        self._reconciler = Reconciler(
            cluster, self._observer, self._discoverer, self._bridges, self._images, self._prober, self._recorder, self.queue.add
        )
        self._chores: Mapping[Key, Callable[[], Awaitable[None]]] = {
            Key("Sweep", "", ""): self._reconciler.sweep_definitions,
            Key("SigningKeys", "", ""): self._keep_signing_keys,
            Key("Grants", "", ""): self._sweep_grants,
            Key("UpstreamTokens", "", ""): self._sweep_tokens,
        }

    async def run(self) -> None:
        """Work until stopped: copies first, since nothing may be decided on half of the truth.

        An API server that cannot be asked is waited for. Raises another ClusterError at the start only.
        """
        self._observer.root_key = await _patiently(lambda: ensure_root_key(self._cluster, self._observer.settings.namespaces.system))
        background = [asyncio.create_task(informer.run()) for informer in self._copies.informers]
        background += [asyncio.create_task(self._kinds.run()), asyncio.create_task(self._seen.run())]
        try:
            await self._copies.synced()
            await self._kinds.settled()
            await self._seen.settled()
            # Last, since a deletion between this list and the first events is not seen for minutes.
            await _patiently(self._own.load)
            background += [asyncio.create_task(each) for each in (self._own.keep(), self._shell.run(), self._recorder.run())]
            self._telemetry.watch(self.queue, lambda: (*self._copies.informers, *self._kinds.informers, *self._seen.followed))
            self._add(frozenset(self._chores))
            work = asyncio.create_task(self.queue.run(self._work, self._configuration.workers))
            _log.info("working")
            await self._stop.wait()
            self.queue.shut_down()
            await work
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._discoverer.close()
            await self._bridges.close()
            await self._prober.close()
            await self._asker.close()
            await self._images.close()
            await self._registries.close()

    def stop(self) -> None:
        """Finish what is being worked on and return from `run`."""
        self._stop.set()

    async def _work(self, key: Key) -> float | None:
        chore = self._chores.get(key)
        if chore is not None:
            await chore()
            return CHORES
        with self._telemetry.reconciliation(key.kind):
            return await self._reconciler.reconcile(key)

    async def _keep_signing_keys(self) -> None:
        settings = self._observer.settings
        await keep_signing_keys(self._cluster, settings.namespaces.system, time.time(), seconds(settings.oauth.access_lifetime))

    async def _sweep_grants(self) -> None:
        settings, now = self._observer.settings, time.time()
        await sweep_grants(self._cluster, settings.namespaces.system, now, seconds(settings.oauth.refresh_idle))
        await sweep_logins(self._cluster, settings.namespaces.system, now, seconds(settings.oauth.refresh_lifetime))

    async def _sweep_tokens(self) -> None:
        settings = self._observer.settings
        grace, known = seconds(settings.oauth.upstream_token_grace), frozenset(map(token_key, self._observer.installations()))
        await sweep_tokens(self._cluster, settings.namespaces.system, time.time(), grace, known)

    def _look_again(self, namespace: str, name: str) -> None:
        self.queue.add(triggers.key(INSTALLATION, namespace, name))

    def _add(self, keys: frozenset[Key], *, after: float = 0.0) -> None:
        for key in keys:
            if after:
                self.queue.add_after(key, after)
            else:
                self.queue.add(key)

    def _own_changed(self, kind: Kind, key: ObjectKey, old: OwnObject | None, new: OwnObject | None, ours: bool) -> None:
        if not ours:
            self.queue.add(triggers.key(kind, *key))
        if kind is INSTALLATION:
            versions = [found for found in (old, new) if isinstance(found, Installation)]
            self._add(triggers.of_installation(versions, self._observer.gateways()), after=GATHER)
        elif kind is REGISTRY_ENTRY and triggers.is_other_spec(old, new):
            self._add(triggers.of_entry(key[1], self._own.index.of_entry(key[1]), self._observer.gateways()))
        elif kind is ENVIRONMENT and triggers.is_other_spec(old, new):
            self._cluster_changed()
        elif kind is ENVIRONMENT and triggers.is_other_verdict(old, new):
            self._add(triggers.all_of(INSTALLATION, self._own.index.of_environment(key[1])))
        elif kind is TOKEN and not ours:
            for token_hash in {found.spec.token_hash for found in (old, new) if isinstance(found, Token)}:
                self._add(triggers.of_token(token_hash, self._own.all(TOKEN).values()))

    def _copy_changed(self, resource: Resource, found: Object) -> None:
        meta, index = found["metadata"], self._own.index
        if resource == NAMESPACE:
            self._add(triggers.of_namespace(meta["name"], index.of_namespace(meta["name"]), self._observer.gateways()))
        elif resource == NETWORK_POLICY:
            self._add(triggers.of_environments((name for _, name in self._own.all(ENVIRONMENT)), ()))
        elif meta.get("labels", {}).get(names.USABLE) == "true":
            self._usable_changed(resource.kind, meta["namespace"], meta["name"])
        elif resource == CONFIG_MAP:
            using = index.of_tools(meta["name"])
            self._add(triggers.all_of(INSTALLATION, using))
            self._add(triggers.of_installation(using, self._observer.gateways()), after=GATHER)
        elif resource in ADMISSION_RESOURCES:
            self._add(triggers.all_of(ENVIRONMENT, self._own.all(ENVIRONMENT).values()))
        elif resource == SERVICE:
            self._everything()

    def _child_changed(self, ids: frozenset[str], owner: InstallationKey | None) -> None:
        for each in ids:
            self._add(triggers.all_of(INSTALLATION, self._own.index.of_id(each)))
        if owner is not None:
            self.queue.add(triggers.key(INSTALLATION, *owner))

    def _usable_changed(self, kind: str, namespace: str, name: str) -> None:
        index = self._own.index
        if kind == "Secret":
            self._add(triggers.all_of(INSTALLATION, index.of_secret(namespace, name)))
        if namespace == self._observer.settings.namespaces.catalog:
            for entry in triggers.entries_naming(kind, name, self._own.all(REGISTRY_ENTRY).values()):
                self._add(triggers.all_of(INSTALLATION, index.of_entry(entry)))

    def _kinds_changed(self) -> None:
        self._seen.look()

    def _cluster_changed(self) -> None:
        """Let everything be looked at that has to do with egress rules: the rules, who enforces them, or what they must not open."""
        self._add(triggers.of_environments((name for _, name in self._own.all(ENVIRONMENT)), self._observer.installations()))

    def _everything(self) -> None:
        for kind in RECONCILED:
            for namespace, name in self._own.all(kind):
                self.queue.add(triggers.key(kind, namespace, name))

    def _settings_changed(self, found: Object) -> None:
        """Take over new platform settings; keep the last good ones, and say so, where they are wrong."""
        try:
            settings = settings_in(found)
        except SettingsError as error:
            _log.error("the new platform settings are wrong, the old ones stay in force: %s", error)
            self._recorder.record(found, "Warning", "InvalidSettings", str(error))
            self._telemetry.settings_valid(valid=False)
            return
        self._telemetry.settings_valid(valid=True)
        if settings.namespaces != self._observer.settings.namespaces:
            _log.warning("the namespaces of the platform settings changed: stopping, to start anew with them")
            self.stop()
        elif settings != self._observer.settings:
            self._observer.settings = settings
            self._everything()


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    failures = 0
    while True:
        try:
            return await work()
        except (Unreachable, Gone) as error:
            failures += 1
            _log.warning("%s; trying again", error)
            await asyncio.sleep(delay(failures, RETRY_BASE, RETRY_CAP))
