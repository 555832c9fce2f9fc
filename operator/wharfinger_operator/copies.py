"""Copies of everything that is not of our kinds but decides: children, opted-in Secrets, namespaces, tool definitions, DNS, admission.

Only what is needed is kept: our objects in the namespaces of the platform settings, and of tool definitions only names. In server
namespaces no label chooses, so that a child stays in sight whose labels somebody took off.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.informer import ChangeType, Informer, Transform
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
    VALIDATING_ADMISSION_POLICY,
    VALIDATING_ADMISSION_POLICY_BINDING,
    Object,
    Resource,
    Scope,
)
from wharfinger_crds import names
from wharfinger_crds.settings import Namespaces
from wharfinger_crds.tool_definitions import read_definitions, tool_digests
from wharfinger_operator.child import Child
from wharfinger_operator.child_copy import Copy, child, closes, ids, is_stranger, owner, packed_child, packed_pod, rolls, unpacked
from wharfinger_operator.diff import stamp_of
from wharfinger_operator.ownership import is_ours
from wharfinger_operator.plan.identity import InstallationKey
from wharfinger_operator.plan.once import once
from wharfinger_operator.world import DnsService, Stored

CHILD_RESOURCES: Final = (DEPLOYMENT, SERVICE, NETWORK_POLICY, SERVICE_ACCOUNT, SECRET)
ADMISSION_RESOURCES: Final = (VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING)
NO_DNS_SERVICE: Final = DnsService()
PAGE: Final = 100
"""Children a request when listing: all kinds are listed at the same time, and a page of Deployments takes forty kilobytes each."""
MANAGED: Final = f"{names.MANAGED_BY}={names.MANAGER}"
USABLE: Final = f"{names.USABLE}=true"
OnChange = Callable[[Resource, Object], None]
OnChild = Callable[[frozenset[str], InstallationKey | None], None]
"""Called with the ids of the installations whose child changed, and the installation that its labels name."""


def tool_names(found: Object) -> Object:
    """Return a tools ConfigMap without its definitions, which can be mebibytes: only names and digests are kept."""
    try:
        digests = tool_digests(json.loads(read_definitions(found)))
    except (ValueError, TypeError, KeyError, RecursionError):
        digests = {}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": found["metadata"], "stored": Stored(digests)}


class Copies:
    """The informers, and questions to them."""

    def __init__(
        self, cluster: Cluster, spaces: Namespaces, on_change: OnChange, on_child: OnChild, on_settings: Callable[[Object], None]
    ) -> None:
        self._by_id: dict[str, dict[str, Copy]] = {}
        self._rolling: dict[str, int] = {}
        """By id, what rolls: a Deployment that is on its way, and a reconciliation that is about to send it there."""
        self._on_change = on_change
        self._on_child = on_child
        self._stored: Mapping[str, Stored] | None = None

        def changed(resource: Resource) -> InformerChange:
            return lambda _, old, new: on_change(resource, new or old or {})

        def children(resource: Resource, scope: Scope, transform: Transform = packed_child) -> Informer:
            informer = Informer(cluster, resource, scope, on_change=self._child_changed, transform=transform)
            informer.page = PAGE
            return informer

        def tools_changed(_: ChangeType, old: Object | None, new: Object | None) -> None:
            self._stored = None
            on_change(CONFIG_MAP, new or old or {})

        self._make_child_informer, self._servers = children, spaces.servers
        self._children = {(r.kind, ns): children(r, Scope(ns)) for ns in spaces.servers for r in CHILD_RESOURCES}
        connections = Scope(spaces.system, labels=f"{MANAGED},{names.PART}=connection")
        self._children[SECRET.kind, spaces.system] = children(SECRET, connections)
        self._pods = [children(POD, Scope(ns, labels=MANAGED), packed_pod) for ns in spaces.servers]
        self._secrets = {
            ns: Informer(cluster, SECRET, Scope(ns, labels=USABLE), on_change=changed(SECRET))
            for ns in dict.fromkeys((*spaces.tenants, spaces.catalog))
        }
        self._catalog = spaces.catalog
        self._config_maps = Informer(cluster, CONFIG_MAP, Scope(spaces.catalog, labels=USABLE), on_change=changed(CONFIG_MAP))
        definitions = Scope(spaces.system, labels=f"{MANAGED},{names.PART}=tools")
        self._tools = Informer(cluster, CONFIG_MAP, definitions, on_change=tools_changed, transform=tool_names)
        self._namespaces = Informer(cluster, NAMESPACE, on_change=changed(NAMESPACE))
        self._dns = Informer(cluster, SERVICE, Scope("kube-system", fields="metadata.name=kube-dns"), on_change=changed(SERVICE))
        assignment = Scope(fields=f"metadata.name={names.RESTRICTED_ASSIGNMENT}")
        self._admission = tuple(Informer(cluster, r, assignment, on_change=changed(r)) for r in ADMISSION_RESOURCES)
        settings = Scope(spaces.system, fields=f"metadata.name={names.SETTINGS_CONFIGMAP}")
        self._settings = Informer(cluster, CONFIG_MAP, settings, on_change=lambda _, __, new: on_settings(new) if new else None)

    @property
    def informers(self) -> tuple[Informer, ...]:
        """All of them."""
        own, named = (*self._children.values(), *self._pods), (*self._secrets.values(), self._config_maps)
        return (*own, *named, self._tools, self._namespaces, self._dns, *self._admission, self._settings)

    async def synced(self) -> None:
        """Wait until every copy has been complete once."""
        await asyncio.gather(*(informer.synced.wait() for informer in self.informers))

    def follow(self, resource: Resource) -> tuple[Informer, ...]:
        """Return informers of one more kind of child, for the caller to run."""
        made = {(resource.kind, ns): self._make_child_informer(resource, Scope(ns)) for ns in self._servers}
        self._children |= made
        return tuple(made.values())

    def unfollow(self, resource: Resource) -> None:
        """Forget a kind of child: nothing is known about it any more."""
        for ns in self._servers:
            if informer := self._children.pop((resource.kind, ns), None):
                for copy in informer.store.values():
                    self._index(copy, None)

    def children(self, namespace: str, name: str) -> tuple[Child, ...]:
        """Return the children of an installation, in every namespace."""
        return tuple(child(copy) for copy in self._of(namespace, name) if not is_stranger(copy) and copy["kind"] != "Pod")

    def strangers(self, namespace: str, name: str) -> tuple[Object, ...]:
        """Return what stands beside the children of an installation and was not made by the operator; without its contents."""
        return tuple(copy for copy in self._of(namespace, name) if is_stranger(copy))

    def pods(self, namespace: str, name: str) -> tuple[Object, ...]:
        """Return the pods of an installation."""
        return tuple(unpacked(copy) for copy in self._of(namespace, name) if copy["kind"] == "Pod")

    def is_closed(self, namespace: str) -> bool:
        """Tell whether a policy closes a server namespace for every pod; of another namespace nothing is known, and nothing is said."""
        informer = self._children.get((NETWORK_POLICY.kind, namespace))
        return informer is None or any(closes(copy) for copy in informer.store.values())

    def sees_all(self, kind: str, namespace: str) -> bool:
        """Tell whether an object of that kind and namespace that has no copy is not there."""
        informer = self._children.get((kind, namespace))
        return informer is not None and not informer.scope.labels and informer.problem is None

    def took(self, written: Object, *, as_wanted: bool) -> None:
        """Take in what a write returned, so that the next look does not see the time before; nobody is told.

        `as_wanted`: it is as the manifest wants it that its stamp is of.
        """
        informer = self._children.get((written["kind"], written["metadata"]["namespace"]))
        if informer is not None:
            where = (written["metadata"]["name"], written["metadata"]["namespace"])
            before = informer.get(*where)
            informer.take(written)
            after = informer.get(*where)
            self._index(before, after)
            if as_wanted and after is not None and after["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]:
                child(after).compared.stamp = stamp_of(written)

    def rolling(self) -> Iterable[str]:
        """Return the ids of installations whose server is on its way to a revision, or about to be."""
        return self._rolling.keys()

    @contextmanager
    def rolls(self, namespace: str, name: str, *, rolls: bool) -> Iterator[None]:
        """Count a server as rolling while its changes are being made: nothing else would show it before they are."""
        each = names.installation_id(namespace, name)
        self._count(each, 1 if rolls else 0)
        try:
            yield
        finally:
            self._count(each, -1 if rolls else 0)

    def _count(self, each: str, change: int) -> None:
        if found := self._rolling.get(each, 0) + change:
            self._rolling[each] = found
        else:
            self._rolling.pop(each, None)

    def _of(self, namespace: str, name: str) -> Iterator[Copy]:
        yield from self._by_id.get(names.installation_id(namespace, name), {}).values()

    def _child_changed(self, _: ChangeType, old: Copy | None, new: Copy | None) -> None:
        self._index(old, new)
        found = [copy for copy in (old, new) if copy is not None]
        for copy in found:
            self._on_child(ids(copy), owner(copy))
        if found and closes(old) != closes(new):
            self._on_change(NETWORK_POLICY, found[0])

    def _index(self, old: Copy | None, new: Copy | None) -> None:
        for copy, present in ((old, False), (new, True)):
            if copy is None:
                continue
            for each in ids(copy):
                self._count(each, (1 if present else -1) if rolls(copy) else 0)
                children = self._by_id.setdefault(each, {})
                if present:
                    children[copy["metadata"]["uid"]] = copy
                else:
                    children.pop(copy["metadata"]["uid"], None)
                if not children:
                    del self._by_id[each]

    def secret(self, namespace: str, name: str) -> Object | None:
        """Return an opted-in Secret of a tenant namespace; never one that the operator made."""
        return _foreign(self._secrets[namespace].get(name, namespace)) if namespace in self._secrets else None

    def in_catalog(self, kind: str, name: str) -> Object | None:
        """Return an opted-in Secret or ConfigMap of the catalog namespace; never one that the operator made."""
        informer = self._secrets[self._catalog] if kind == "Secret" else self._config_maps
        return _foreign(informer.get(name, self._catalog))

    def namespace(self, name: str) -> Object | None:
        """Return a Namespace."""
        return self._namespaces.get(name)

    def stored(self) -> Mapping[str, Stored]:
        """Return the stored tool definitions by the name of their ConfigMap."""
        if self._stored is None:
            self._stored = MappingProxyType({key[1]: o["stored"] for key, o in self._tools.store.items()})
        return self._stored

    def admission(self) -> tuple[Object | None, Object | None]:
        """Return the admission policy for assignments to restricted environments, and its binding."""
        policy, binding = (informer.get(names.RESTRICTED_ASSIGNMENT) for informer in self._admission)
        return policy, binding

    def dns(self) -> DnsService:
        """Return the Service of the cluster's DNS."""
        service = self._dns.get("kube-dns", "kube-system")
        return dns_service(service) if service else NO_DNS_SERVICE


def _foreign(found: Object | None) -> Object | None:
    return None if found is None or is_ours(found) else found


@partial(once, kept=1)
def dns_service(service: Mapping[str, Any]) -> DnsService:
    """Return addresses and ports of a Service for DNS; a headless one has no address."""
    spec = service.get("spec", {})
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    ports = tuple((p.get("protocol", "TCP"), p.get("targetPort", p["port"])) for p in spec.get("ports", ()) if p["port"] == 53)
    return DnsService(tuple(a for a in addresses if a and a != "None"), ports)
