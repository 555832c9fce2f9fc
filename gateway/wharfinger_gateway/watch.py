"""From the cluster to what is in force: informers ▶ read ▶ translate ▶ publish.

Invariants: nothing is published before every kind has been read once; after that, the last good snapshot stays in force whatever
happens to the API server. An object is read when it changes, not at every translation. Bad settings at the start end the process, saying
which field; later the last good ones stay in use.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, TypeVar

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.informer import ChangeType, Informer
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import CONFIG_MAP, EVERYTHING, NAMESPACE, SECRET, Object, Resource, Scope
from wharfinger_crds import names
from wharfinger_crds.environment import Environment
from wharfinger_crds.gateway import Gateway
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY, TOKEN
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_crds.settings import Settings, SettingsError
from wharfinger_crds.token import Token
from wharfinger_gateway.current import Current
from wharfinger_gateway.late_doors import LateDoors
from wharfinger_gateway.read import ClientSecret, Namespace, RootKey, SigningKeys, StoredConnection, ToolList, read
from wharfinger_gateway.snapshot import Refused, Snapshot
from wharfinger_gateway.telemetry import Telemetry
from wharfinger_gateway.translate import Resources, translate, translate_tokens

SETTLE_SECONDS: Final = 0.1
"""How long changes are collected, to be translated together."""

REST: Final = 4.0
"""How many times as long as a translation took nothing is translated: serving goes before following."""

_READ: Final = "read"
_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")
_Part = TypeVar("_Part", Settings, RootKey)


class Watch:
    """Keeps `current` true to the cluster."""

    def __init__(
        self, cluster: Cluster, namespace: str, current: Current, telemetry: Telemetry, published: Callable[[Snapshot], None]
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._current = current
        self._telemetry = telemetry
        self._published = published
        self._changed = asyncio.Event()
        self._refused: frozenset[Refused] = frozenset()
        self._said: str | None = None
        self._informers: Mapping[type, Informer] = MappingProxyType(
            {
                Gateway: self._informer(kind_resource(GATEWAY)),
                Installation: self._informer(kind_resource(INSTALLATION)),
                RegistryEntry: self._informer(kind_resource(REGISTRY_ENTRY)),
                Environment: self._informer(kind_resource(ENVIRONMENT)),
                Token: self._informer(kind_resource(TOKEN), Scope(namespace)),
                Namespace: self._informer(NAMESPACE),
                StoredConnection: self._informer(SECRET, Scope(namespace, labels=f"{names.PART}=connection")),
                ToolList: self._informer(CONFIG_MAP, Scope(namespace, labels=f"{names.PART}=tools")),
                Settings: self._informer(CONFIG_MAP, _named(namespace, names.SETTINGS_CONFIGMAP)),
                RootKey: self._informer(SECRET, _named(namespace, names.ROOT_KEY_SECRET)),
                SigningKeys: self._informer(SECRET, _named(namespace, names.SIGNING_KEYS_SECRET)),
                ClientSecret: self._informer(SECRET, Scope(namespace, labels=f"{names.PART}={names.CLIENT_SECRET_PART}")),
            }
        )
        self._good: dict[type, Any] = {}
        """The last usable settings and root key."""
        self._lacks_doors = False
        """Whether a snapshot waits for the doors that its gateways have."""

    def age(self) -> float:
        """Return the seconds since the kind was last heard of that has been silent longest."""
        return time.monotonic() - min(informer.last_contact for informer in self._informers.values())

    async def run(self, doors: LateDoors | None = None) -> None:
        """Publish and follow, until cancelled; the doors are opened before the first snapshot with a gateway that has any is published.

        Raises SettingsError where the platform settings are unusable before there were good ones.
        """
        tasks = [asyncio.create_task(informer.run()) for informer in self._informers.values()]
        try:
            for informer in self._informers.values():
                await informer.synced.wait()
            while True:
                self._changed.clear()
                took = self._publish_safely(may_have_doors=doors is None or doors.are_open)
                if self._lacks_doors and doors is not None:
                    await doors.open(self._telemetry)
                    continue
                await self._changed.wait()
                await asyncio.sleep(max(SETTLE_SECONDS, REST * took))
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)

    def _informer(self, resource: Resource, scope: Scope = EVERYTHING) -> Informer:
        def transform(found: Object) -> Object:
            kept = {key: value for key, value in found["metadata"].items() if key in ("name", "namespace", "uid", "resourceVersion")}
            return {"metadata": kept, _READ: _read_safely(found)}

        return Informer(self._cluster, resource, scope, on_change=self._on_change, transform=transform)

    def _on_change(self, change: ChangeType, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or old[_READ] != new[_READ]:
            self._changed.set()

    def _publish_safely(self, *, may_have_doors: bool) -> float:
        """Publish, and return the seconds that it took; a fault of ours leaves in force what is in force."""
        started = time.perf_counter()
        try:
            self._publish(may_have_doors=may_have_doors)
        except SettingsError:
            raise
        except Exception:  # noqa: BLE001 - the last good snapshot serves on
            _log.exception("the cluster's objects cannot be translated")
        return time.perf_counter() - started

    def _publish(self, *, may_have_doors: bool) -> None:
        tokens, refused_tokens = translate_tokens(self._all(Token))
        self._current.publish_tokens(tokens)
        resources = self._resources()
        if resources is None:
            return
        self._current.root_key = resources.root_key.key
        translation = translate(resources)
        self._lacks_doors = translation.snapshot.has_doors and not may_have_doors
        if self._lacks_doors:
            return
        self._report((*self._unreadable(), *refused_tokens, *translation.refused))
        if self._current.publish(translation.snapshot):
            self._telemetry.published()
            self._published(translation.snapshot)

    def _resources(self) -> Resources | None:
        """Return what a snapshot is made from; None where it cannot be made yet."""
        settings, root_key = self._part(Settings), self._part(RootKey)
        problem = settings if isinstance(settings, str) else root_key if isinstance(root_key, str) else None
        self._telemetry.settings_valid(valid=not isinstance(settings, str))
        if problem is not None and problem != self._said:
            _log.error(
                "%s; %s", problem, "the last good one stays in use" if self._good.keys() >= {Settings, RootKey} else "waiting for it"
            )
        self._said = problem
        if not isinstance(settings, str):
            self._good[Settings] = settings
        elif Settings not in self._good and self._informers[Settings].store:
            raise SettingsError(settings)
        if not isinstance(root_key, str):
            self._good[RootKey] = root_key
        if not self._good.keys() >= {Settings, RootKey}:
            return None
        return Resources(
            settings=self._good[Settings],
            root_key=self._good[RootKey],
            gateways=self._all(Gateway),
            installations=self._all(Installation),
            entries=self._all(RegistryEntry),
            environments=self._all(Environment),
            namespaces=self._all(Namespace),
            connections=self._all(StoredConnection),
            tools=self._all(ToolList),
            signing_keys=self._signing_keys(),
            client_secrets={(one.name, key): value for one in self._all(ClientSecret) for key, value in one.data.items()},
        )

    def _signing_keys(self) -> SigningKeys | None:
        """Return the keys, or the last good ones; None where there were none: then nobody can log in yet."""
        found = self._all(SigningKeys)
        if found:
            self._good[SigningKeys] = found[0]
        return self._good.get(SigningKeys)

    def _all(self, kind: type[_Value]) -> tuple[_Value, ...]:
        return tuple(one[_READ] for one in self._informers[kind].store.values() if isinstance(one[_READ], kind))

    def _part(self, kind: type[_Part]) -> _Part | str:
        """Return the one object of its sort, or what is wrong with it."""
        found = next((one[_READ] for one in self._informers[kind].store.values()), None)
        if isinstance(found, kind):
            return found
        if isinstance(found, Refused):
            return str(found)
        sought = self._informers[kind]
        return f"{sought.resource.kind} {self._namespace}/{sought.scope.fields.removeprefix('metadata.name=')} is missing"

    def _unreadable(self) -> tuple[Refused, ...]:
        return tuple(
            one[_READ] for informer in self._informers.values() for one in informer.store.values() if isinstance(one[_READ], Refused)
        )

    def _report(self, refused: tuple[Refused, ...]) -> None:
        for one in sorted(set(refused) - self._refused, key=str):
            _log.warning("does not count: %s", one)
        self._refused = frozenset(refused)
        self._telemetry.objects_refused(refused)


def _read_safely(found: Object) -> object | Refused:
    try:
        return read(found)
    except Exception:  # noqa: BLE001 - one object that we stumble over must not blind us to all others
        metadata = found["metadata"]
        _log.exception("a %s cannot be read", found["kind"])
        return Refused(
            found["kind"], metadata.get("namespace", ""), metadata["name"], "cannot be read: a fault of the gateway, see its log"
        )


def _named(namespace: str, name: str) -> Scope:
    return Scope(namespace, fields=f"metadata.name={name}")
