"""Which objects must be looked at again when something changes; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from wharfinger_crds.gateway import Gateway
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY, TOKEN, Kind
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_operator.plan.catalog import named_in_catalog
from wharfinger_operator.plan.identity import installation_key


class Key(NamedTuple):
    """One object to reconcile."""

    kind: str
    namespace: str
    name: str


def key(kind: Kind, namespace: str, name: str) -> Key:
    """Return the key of an object of one of our kinds."""
    return Key(kind.kind, namespace, name)


def of_entry(name: str, installations: Iterable[Installation], gateways: Iterable[Gateway]) -> frozenset[Key]:
    """Return what depends on an entry."""
    by_entry = {_key_of(INSTALLATION, i) for i in installations if i.spec.entry_ref.name == name}
    by_gateway = {_key_of(GATEWAY, g) for g in gateways if any(t.entry_ref and t.entry_ref.name == name for t in g.spec.tools)}
    return frozenset({key(REGISTRY_ENTRY, "", name), *by_entry, *by_gateway})


def of_installation(
    namespace: str, name: str, entries: Iterable[str], environments: Iterable[str], gateways: Iterable[Gateway]
) -> frozenset[Key]:
    """Return what depends on an installation that names, or named, these entries and ran in these environments."""
    named = set(entries)
    using = {
        _key_of(GATEWAY, g)
        for g in gateways
        if any(
            (t.entry_ref and t.entry_ref.name in named)
            or (t.installation_ref and (g.metadata.namespace, t.installation_ref.name) == (namespace, name))
            for t in g.spec.tools
        )
    }
    return frozenset({
        key(INSTALLATION, namespace, name),
        *(key(REGISTRY_ENTRY, "", entry) for entry in named),
        *(key(ENVIRONMENT, "", environment) for environment in environments),
        *using,
    })  # fmt: skip


def of_environments(environments: Iterable[str], installations: Iterable[Installation]) -> frozenset[Key]:
    """Return what depends on the environments: a default comes or goes for everyone, so all of them and all installations."""
    return frozenset({*(key(ENVIRONMENT, "", name) for name in environments), *(_key_of(INSTALLATION, i) for i in installations)})


def of_secret(namespace: str, name: str, installations: Iterable[Installation]) -> frozenset[Key]:
    """Return the installations that name a Secret of their namespace."""
    return frozenset(
        _key_of(INSTALLATION, i)
        for i in installations
        if i.metadata.namespace == namespace and any(f.secret_key_ref.name == name for f in i.spec.values_from)
    )


def of_catalog(kind: str, name: str, entries: Iterable[RegistryEntry], installations: Iterable[Installation]) -> frozenset[Key]:
    """Return the installations of the entries that name this Secret or ConfigMap of the catalog namespace."""
    naming = {entry.metadata.name for entry in entries if (kind, name) in named_in_catalog(entry)}
    return frozenset(_key_of(INSTALLATION, i) for i in installations if i.spec.entry_ref.name in naming)


def of_namespace(namespace: str, installations: Iterable[Installation], gateways: Iterable[Gateway]) -> frozenset[Key]:
    """Return what stands in a namespace whose grants may have changed."""
    return frozenset({
        *(_key_of(INSTALLATION, i) for i in installations if i.metadata.namespace == namespace),
        *(_key_of(GATEWAY, g) for g in gateways if g.metadata.namespace == namespace),
    })  # fmt: skip


def of_token(token_hash: str, tokens: Iterable[Any]) -> frozenset[Key]:
    """Return all tokens with that hash: a second one makes the first invalid."""
    return frozenset(_key_of(TOKEN, t) for t in tokens if t.spec.token_hash == token_hash)


def of_child(manifest: Mapping[str, Any]) -> frozenset[Key]:
    """Return the installation whose labels a child carries."""
    owner = installation_key(manifest)
    return frozenset({key(INSTALLATION, *owner)}) if owner else frozenset()


def _key_of(kind: Kind, found: Any) -> Key:
    return key(kind, found.metadata.namespace, found.metadata.name)
