"""The operator at work: copies, queue, reconciler and discoverer, wired."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import version
from typing import Any, Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.events import EventRecorder
from wharfinger_cluster.login import Login
from wharfinger_cluster.resource import CONFIG_MAP, NAMESPACE, SERVICE, Object, Resource, Scope
from wharfinger_cluster.workqueue import WorkQueue
from wharfinger_crds import names
from wharfinger_crds.base import Object as OwnObject
from wharfinger_crds.environment import Environment
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY, TOKEN, Kind
from wharfinger_crds.settings import Settings, SettingsError, read_settings
from wharfinger_crds.token import Token
from wharfinger_operator import triggers
from wharfinger_operator.ask_bridge import BridgeAsker
from wharfinger_operator.ask_server import ServerAsker
from wharfinger_operator.configuration import Configuration
from wharfinger_operator.copies import Copies
from wharfinger_operator.discover import Discoverer
from wharfinger_operator.image_lookup import ImageLookup
from wharfinger_operator.image_registry import ImageRegistries
from wharfinger_operator.listen import Listeners
from wharfinger_operator.observe import Observer
from wharfinger_operator.own_objects import ObjectKey, OwnObjects
from wharfinger_operator.reconcile import Reconciler
from wharfinger_operator.root_key import ensure_root_key
from wharfinger_operator.shell import run_kopf, shell
from wharfinger_operator.telemetry import Telemetry
from wharfinger_operator.triggers import Key

SWEEP: Final = Key("Sweep", "", "")
_log = logging.getLogger(__name__)


class Operator:
    """One running operator; made by the leader."""

    def __init__(self, cluster: Cluster, login: Login, configuration: Configuration, settings: Settings, telemetry: Telemetry) -> None:
        self._cluster = cluster
        self._login = login
        self._configuration = configuration
        self._telemetry = telemetry
        self._stop = asyncio.Event()
        self.queue: WorkQueue[Key] = WorkQueue()
        system = settings.namespaces.system
        scopes = {REGISTRY_ENTRY: Scope(), ENVIRONMENT: Scope(), INSTALLATION: Scope(), GATEWAY: Scope(), TOKEN: Scope(system)}
        self._own = OwnObjects(cluster, scopes, self._own_changed)
        self._copies = Copies(cluster, settings.namespaces, self._copy_changed, self._settings_changed)
        self._observer = Observer(self._own, self._copies, settings, b"")
        self._asker = ServerAsker(version("wharfinger"))
        self._discoverer = Discoverer(self._asker.ask, self._look_again, Listeners(self._asker.listen))
        self._recorder = EventRecorder(cluster, f"{names.GROUP}/operator", configuration.identity)
        self._bridges = BridgeAsker(cluster, self._look_again)
        self._registries = ImageRegistries()
        self._images = ImageLookup(self._registries.entry_point, self._look_again)
        self._reconciler = Reconciler(cluster, self._observer, self._discoverer, self._bridges, self._images, self._recorder)

    async def run(self) -> None:
        """Work until stopped: copies first, since nothing may be decided on half of the truth. Raises ClusterError at the start only."""
        self._observer.root_key = await ensure_root_key(self._cluster, self._observer.settings.namespaces.system)
        background = [asyncio.create_task(informer.run()) for informer in self._copies.informers]
        try:
            await self._own.load()
            await self._copies.synced()
            background += [asyncio.create_task(self._own.keep()), asyncio.create_task(self._recorder.run())]
            self._telemetry.watch(self.queue, self._copies.informers)
            self.queue.add(SWEEP)
            registry = shell(self._login, (REGISTRY_ENTRY, ENVIRONMENT, INSTALLATION, GATEWAY, TOKEN), self._own.take)
            work = asyncio.create_task(self.queue.run(self._work, self._configuration.workers))
            _log.info("working")
            await run_kopf(registry, self._configuration.identity, self._stop)
            self.queue.shut_down()
            await work
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._discoverer.close()
            await self._bridges.close()
            await self._asker.close()
            await self._images.close()
            await self._registries.close()

    def stop(self) -> None:
        """Finish what is being worked on and return from `run`."""
        self._stop.set()

    async def _work(self, key: Key) -> float | None:
        if key == SWEEP:
            await self._reconciler.sweep_definitions()
            return 600.0
        with self._telemetry.reconciliation(key.kind):
            return await self._reconciler.reconcile(key)

    def _look_again(self, namespace: str, name: str) -> None:
        self.queue.add(triggers.key(INSTALLATION, namespace, name))

    def _add(self, keys: frozenset[Key]) -> None:
        for key in keys:
            self.queue.add(key)

    def _own_changed(self, kind: Kind, key: ObjectKey, old: OwnObject | None, new: OwnObject | None) -> None:
        installations, gateways = self._observer.installations(), self._observer.gateways()
        versions = [found for found in (old, new) if found is not None]
        if kind is INSTALLATION:
            own = [found for found in versions if isinstance(found, Installation)]
            named = {i.spec.entry_ref.name for i in own}
            self._add(triggers.of_installation(*key, named, {i.status.environment for i in own if i.status.environment}, gateways))
        elif kind is REGISTRY_ENTRY:
            self._add(triggers.of_entry(key[1], installations, gateways))
        elif kind is ENVIRONMENT:
            self.queue.add(triggers.key(ENVIRONMENT, *key))
            if not _same_spec(old, new):
                self._add(triggers.of_environments((name for _, name in self._own.all(ENVIRONMENT)), installations))
        elif kind is TOKEN:
            hashes = {found.spec.token_hash for found in versions if isinstance(found, Token)}
            for token_hash in hashes:
                self._add(triggers.of_token(token_hash, self._own.all(TOKEN).values()))
        else:
            self.queue.add(triggers.key(kind, *key))

    def _copy_changed(self, resource: Resource, found: Object) -> None:
        meta = found.get("metadata", {})
        if resource == NAMESPACE:
            self._add(triggers.of_namespace(meta["name"], self._observer.installations(), self._observer.gateways()))
        elif meta.get("labels", {}).get(names.USABLE) == "true":
            self._usable_changed(resource.kind, meta["namespace"], meta["name"])
        elif resource == CONFIG_MAP:
            self._add(
                frozenset(
                    triggers.key(INSTALLATION, i.metadata.namespace, i.metadata.name)
                    for i in self._observer.installations()
                    if _names(i, meta["name"])
                )
            )
            self._add(frozenset(triggers.key(GATEWAY, g.metadata.namespace, g.metadata.name) for g in self._observer.gateways()))
        elif resource == SERVICE and meta.get("namespace") == "kube-system":
            self._everything()
        else:
            self._add(triggers.of_child(found))

    def _usable_changed(self, kind: str, namespace: str, name: str) -> None:
        installations = self._observer.installations()
        if kind == "Secret":
            self._add(triggers.of_secret(namespace, name, installations))
        if namespace == self._observer.settings.namespaces.catalog:
            self._add(triggers.of_catalog(kind, name, self._own.all(REGISTRY_ENTRY).values(), installations))

    def _everything(self) -> None:
        for kind in (REGISTRY_ENTRY, ENVIRONMENT, INSTALLATION, GATEWAY, TOKEN):
            for namespace, name in self._own.all(kind):
                self.queue.add(triggers.key(kind, namespace, name))

    def _settings_changed(self, found: Object) -> None:
        """Take over new platform settings; keep the last good ones, and say so, where they are wrong."""
        try:
            settings = read_settings(found.get("data", {}).get(names.SETTINGS_KEY, ""))
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


def _same_spec(old: Any, new: Any) -> bool:
    return isinstance(old, Environment) and isinstance(new, Environment) and old.spec == new.spec


def _names(installation: Installation, config_map: str) -> bool:
    return installation.status.tools is not None and config_map in installation.status.tools.config_maps


async def settings_of(cluster: Cluster, namespace: str) -> Settings:
    """Return the platform settings of a cluster. Raises SettingsError with the field's path, or ClusterError."""
    found = await cluster.get(CONFIG_MAP, names.SETTINGS_CONFIGMAP, namespace)
    settings = read_settings(found.get("data", {}).get(names.SETTINGS_KEY, ""))
    if settings.namespaces.system != namespace:
        raise SettingsError(f"namespaces.system: is {settings.namespaces.system}, but the settings stand in {namespace}")
    return settings
