"""From the copies to the world of one object."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from wharfinger_cluster.resource import Object
from wharfinger_crds.conditions import Finding
from wharfinger_crds.environment import Environment
from wharfinger_crds.gateway import Gateway
from wharfinger_crds.grants import NamespaceGrants, grants_of
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY, TOKEN
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_crds.settings import Settings
from wharfinger_crds.token import Token
from wharfinger_operator.cluster_copies import ClusterCopies
from wharfinger_operator.copies import Copies
from wharfinger_operator.own_objects import OwnObjects
from wharfinger_operator.plan.catalog import named_in_catalog
from wharfinger_operator.plan.dns import dns_peer
from wharfinger_operator.plan.installation_checks import server_namespace
from wharfinger_operator.plan.restriction import is_in_force
from wharfinger_operator.plan.rollout import is_behind
from wharfinger_operator.pod_fact import pod_fact
from wharfinger_operator.world import (
    Catalog,
    CatalogSecret,
    Discovery,
    DnsPeer,
    EntryWorld,
    EnvironmentWorld,
    GatewayWorld,
    InstallationWorld,
    PodFact,
    TokenWorld,
    key_of,
)


@dataclass
class Observer:
    """Everything that is known, and how one object sees it."""

    own: OwnObjects
    copies: Copies
    seen: ClusterCopies
    settings: Settings
    """Replaced when the platform settings change."""
    root_key: bytes = field(repr=False)

    def installation(self, namespace: str, name: str, discovery: Discovery | None, symptom: PodFact | None) -> InstallationWorld:
        """Return the world of an installation, also of one that is gone."""
        installation: Installation | None = self.own.get(INSTALLATION, name, namespace)
        entry: RegistryEntry | None = self.own.get(REGISTRY_ENTRY, installation.spec.entry_ref.name) if installation else None
        behind = entry.metadata.name if entry and is_behind(entry, installation) else None
        tenant, cluster = self.copies.namespace(namespace), self.seen.facts
        return InstallationWorld(
            namespace=namespace,
            name=name,
            installation=installation,
            settings=self.settings,
            entry=entry,
            environments={env.metadata.name: env for env in self._environments()},
            grants=self._grants(namespace),
            namespace_labels=tenant["metadata"].get("labels", {}) if tenant else {},
            secrets=self._secrets(installation) if installation else {},
            catalog=self._catalog(entry) if entry else Catalog(),
            root_key=self.root_key,
            dns=self._dns(),
            cluster=cluster,
            cluster_ranges=self.seen.ranges,
            # A kind that cannot be used is left alone, too: half of its objects may have been seen.
            owned=tuple(o for o in self.copies.children(namespace, name) if not cluster.is_unusable(o["kind"])),
            strangers=frozenset(key_of(stranger) for stranger in self.copies.strangers(namespace, name)),
            siblings=self.own.index.count_of_entry(behind) if behind else 0,
            rolling=self._rolling(behind) if behind else 0,
            pods=tuple(pod_fact(pod) for pod in sorted(self.copies.pods(namespace, name), key=_age)),
            symptom=symptom,
            discovery=discovery,
            stored=self.copies.stored(),
        )

    def entry(self, name: str) -> EntryWorld | None:
        """Return the world of an entry; None where it is gone."""
        entry: RegistryEntry | None = self.own.get(REGISTRY_ENTRY, name)
        return EntryWorld(entry, self.own.index.of_entry(name), self.copies.stored()) if entry else None

    def environment(self, name: str, probe: Finding | None) -> EnvironmentWorld | None:
        """Return the world of an environment and what its probe has shown; None where it is gone."""
        environment: Environment | None = self.own.get(ENVIRONMENT, name)
        defaults = tuple(sorted(e.metadata.name for e in self._environments() if e.spec.default))
        if environment is None:
            return None
        return EnvironmentWorld(
            environment=environment,
            defaults=defaults,
            installations=self.own.index.of_environment(name),
            settings=self.settings,
            closed=self.copies.is_closed(server_namespace(environment, self.settings)),
            assignments_checked=is_in_force(*self.copies.admission()),
            cluster=self.seen.facts,
            cluster_ranges=self.seen.ranges,
            dns=self._dns(),
            probe=probe,
        )

    def gateway(self, namespace: str, name: str) -> GatewayWorld | None:
        """Return the world of a gateway; None where it is gone."""
        gateway: Gateway | None = self.own.get(GATEWAY, name, namespace)
        if gateway is None:
            return None
        entries: dict[str, RegistryEntry] = {key[1]: entry for key, entry in self.own.all(REGISTRY_ENTRY).items()}
        return GatewayWorld(gateway, self.settings, self._grants(namespace), self.installations(), entries, self.copies.stored())

    def token(self, namespace: str, name: str, now: str) -> TokenWorld | None:
        """Return the world of a token at the time `now`; None where it is gone."""
        token: Token | None = self.own.get(TOKEN, name, namespace)
        if token is None:
            return None
        same = sum(1 for t in self.own.all(TOKEN).values() if t.spec.token_hash == token.spec.token_hash)
        return TokenWorld(token, self.settings.namespaces.system, same, now)

    def installations(self) -> tuple[Installation, ...]:
        """Return the installations of every namespace."""
        return tuple(self.own.all(INSTALLATION).values())

    def gateways(self) -> tuple[Gateway, ...]:
        """Return the gateways of every namespace."""
        return tuple(self.own.all(GATEWAY).values())

    def _rolling(self, entry: str) -> int:
        found = (i for each in self.copies.rolling() for i in self.own.index.of_id(each))
        return sum(1 for i in found if i.spec.entry_ref.name == entry)

    def _secrets(self, installation: Installation) -> dict[str, Mapping[str, bytes]]:
        named = {source.secret_key_ref.name for source in installation.spec.values_from}
        found = {name: self.copies.secret(installation.metadata.namespace, name) for name in named}
        return {name: secret_data(secret) for name, secret in found.items() if secret is not None}

    def _catalog(self, entry: RegistryEntry) -> Catalog:
        found = {named: self.copies.in_catalog(*named) for named in named_in_catalog(entry)}
        return Catalog(
            {name: CatalogSecret(o.get("type", "Opaque"), secret_data(o)) for (kind, name), o in found.items() if o and kind == "Secret"},
            {name: o.get("data", {}) for (kind, name), o in found.items() if o and kind == "ConfigMap"},
        )

    def _dns(self) -> DnsPeer:
        return dns_peer(self.copies.dns(), self.settings.dns)

    def _environments(self) -> tuple[Environment, ...]:
        return tuple(self.own.all(ENVIRONMENT).values())

    def _grants(self, namespace: str) -> NamespaceGrants | None:
        found = self.copies.namespace(namespace)
        if namespace not in self.settings.namespaces.tenants or found is None:
            return None
        return grants_of(found["metadata"].get("annotations", {}))


def secret_data(secret: Object) -> Mapping[str, bytes]:
    """Return the decoded data of a Secret; what is not base64 is left out, as the API server never lets it in."""
    decoded: dict[str, bytes] = {}
    for key, value in secret.get("data", {}).items():
        try:
            decoded[key] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            continue
    return decoded


def _age(pod: Object) -> tuple[str, str]:
    return (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"])
