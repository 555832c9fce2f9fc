"""Copies of everything that is not of our kinds but decides: children, opted-in Secrets, namespaces, tool definitions, DNS.

Only what is needed is kept: labelled objects in the namespaces of the platform settings, and of tool definitions only names.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.informer import ChangeType, Informer
from wharfinger_cluster.informer import OnChange as InformerChange
from wharfinger_cluster.resource import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    NETWORK_POLICY,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Object,
    Resource,
    Scope,
)
from wharfinger_crds import names
from wharfinger_crds.settings import Namespaces
from wharfinger_crds.tool_definitions import read_definitions, tool_digests
from wharfinger_operator.plan.identity import InstallationKey, installation_key
from wharfinger_operator.world import DnsPeer, Stored

CHILD_RESOURCES: Final = (DEPLOYMENT, SERVICE, NETWORK_POLICY, SERVICE_ACCOUNT, SECRET)
MANAGED: Final = f"{names.MANAGED_BY}={names.MANAGER}"
USABLE: Final = f"{names.USABLE}=true"
OnChange = Callable[[Resource, Object], None]


def tool_names(found: Object) -> Object:
    """Return a tools ConfigMap without its definitions, which can be mebibytes: only names and digests are kept."""
    try:
        digests = tool_digests(json.loads(read_definitions(found)))
    except (ValueError, TypeError, KeyError, RecursionError):
        digests = {}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": found["metadata"], "stored": Stored(digests)}


class Copies:
    """The informers, and questions to them."""

    def __init__(self, cluster: Cluster, spaces: Namespaces, on_change: OnChange, on_settings: Callable[[Object], None]) -> None:
        self._by_installation: dict[InstallationKey, dict[str, Object]] = {}

        def changed(resource: Resource) -> InformerChange:
            return lambda _, old, new: on_change(resource, new or old or {})

        def indexed(resource: Resource) -> InformerChange:
            def take(_: ChangeType, old: Object | None, new: Object | None) -> None:
                self._index(old, new)
                on_change(resource, new or old or {})

            return take

        managed = [Scope(ns, labels=MANAGED) for ns in spaces.servers]
        self._children = [
            Informer(cluster, resource, scope, on_change=indexed(resource)) for scope in managed for resource in (*CHILD_RESOURCES, POD)
        ]
        connections = Scope(spaces.system, labels=f"{MANAGED},{names.PART}=connection")
        self._children.append(Informer(cluster, SECRET, connections, on_change=indexed(SECRET)))
        self._secrets = {
            ns: Informer(cluster, SECRET, Scope(ns, labels=USABLE), on_change=changed(SECRET))
            for ns in dict.fromkeys((*spaces.tenants, spaces.catalog))
        }
        self._catalog = spaces.catalog
        self._config_maps = Informer(cluster, CONFIG_MAP, Scope(spaces.catalog, labels=USABLE), on_change=changed(CONFIG_MAP))
        definitions = Scope(spaces.system, labels=f"{MANAGED},{names.PART}=tools")
        self._tools = Informer(cluster, CONFIG_MAP, definitions, on_change=changed(CONFIG_MAP), transform=tool_names)
        self._namespaces = Informer(cluster, NAMESPACE, on_change=changed(NAMESPACE))
        self._dns = Informer(cluster, SERVICE, Scope("kube-system", fields="metadata.name=kube-dns"), on_change=changed(SERVICE))
        settings = Scope(spaces.system, fields=f"metadata.name={names.SETTINGS_CONFIGMAP}")
        self._settings = Informer(cluster, CONFIG_MAP, settings, on_change=lambda _, __, new: on_settings(new) if new else None)

    @property
    def informers(self) -> tuple[Informer, ...]:
        """All of them."""
        return (*self._children, *self._secrets.values(), self._config_maps, self._tools, self._namespaces, self._dns, self._settings)

    async def synced(self) -> None:
        """Wait until every copy has been complete once."""
        await asyncio.gather(*(informer.synced.wait() for informer in self.informers))

    def children(self, namespace: str, name: str) -> tuple[Object, ...]:
        """Return the children of an installation, in every namespace."""
        return tuple(o for o in self._by_installation.get((namespace, name), {}).values() if o["kind"] != "Pod")

    def pods(self, namespace: str, name: str) -> tuple[Object, ...]:
        """Return the pods of an installation."""
        return tuple(o for o in self._by_installation.get((namespace, name), {}).values() if o["kind"] == "Pod")

    def _index(self, old: Object | None, new: Object | None) -> None:
        for found, present in ((old, False), (new, True)):
            if found is None or (key := installation_key(found)) is None:
                continue
            children = self._by_installation.setdefault(key, {})
            children.pop(found["metadata"]["uid"], None)
            if present:
                children[found["metadata"]["uid"]] = found
            if not children:
                del self._by_installation[key]

    def secrets(self, namespace: str) -> Iterator[Object]:
        """Yield the opted-in Secrets of a tenant namespace; never one that the operator made."""
        if namespace in self._secrets:
            yield from (found for found in self._secrets[namespace].store.values() if not _is_ours(found))

    def in_catalog(self, kind: str, name: str) -> Object | None:
        """Return an opted-in Secret or ConfigMap of the catalog namespace; never one that the operator made."""
        informer = self._secrets[self._catalog] if kind == "Secret" else self._config_maps
        found = informer.get(name, self._catalog)
        return None if found is None or _is_ours(found) else found

    def is_tenant(self, namespace: str) -> bool:
        """Tell whether the namespace is one whose Secrets are watched."""
        return namespace in self._secrets

    def namespace(self, name: str) -> Object | None:
        """Return a Namespace."""
        return self._namespaces.get(name)

    def stored(self) -> dict[str, Stored]:
        """Return the stored tool definitions by the name of their ConfigMap."""
        return {key[1]: o["stored"] for key, o in self._tools.store.items()}

    def dns(self) -> DnsPeer:
        """Return how pods reach the cluster's DNS."""
        service = self._dns.get("kube-dns", "kube-system")
        return dns_peer(service) if service else DnsPeer()


def _is_ours(found: Object) -> bool:
    labels: Mapping[str, str] = found["metadata"].get("labels", {})
    return labels.get(names.MANAGED_BY) == names.MANAGER


def dns_peer(service: Mapping[str, Any]) -> DnsPeer:
    """Return the DNS peer that a Service stands for."""
    spec = service.get("spec", {})
    address = spec.get("clusterIP")
    ports = tuple((p.get("protocol", "TCP"), p.get("targetPort", p["port"])) for p in spec.get("ports", ()) if p["port"] == 53)
    return DnsPeer(None if address in {None, "", "None"} else address, ports)
