"""Which objects must be looked at again when something changes; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from wharfinger_crds.gateway import Gateway
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY, TOKEN, Kind
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_operator.plan.catalog import named_in_catalog
from wharfinger_operator.plan.enforcement import verdict


class Key(NamedTuple):
    """One object to reconcile."""

    kind: str
    namespace: str
    name: str


def key(kind: Kind, namespace: str, name: str) -> Key:
    """Return the key of an object of one of our kinds."""
    return Key(kind.kind, namespace, name)


def all_of(kind: Kind, found: Iterable[Any]) -> frozenset[Key]:
    """Return the keys of objects."""
    return frozenset(_key_of(kind, each) for each in found)


def is_other_spec(old: Any, new: Any) -> bool:
    """Tell whether more than the status of an object changed; also where it came or went."""
    return old is None or new is None or (old.metadata.uid, old.metadata.generation) != (new.metadata.uid, new.metadata.generation)


def is_other_verdict(old: Any, new: Any) -> bool:
    """Tell whether something else is known of the enforcement of an environment's egress rules."""
    return old is None or new is None or verdict(old) != verdict(new)


def of_entry(name: str, installations: Iterable[Installation], gateways: Iterable[Gateway]) -> frozenset[Key]:
    """Return what depends on an entry: the installations that name it, and gateways."""
    using = (g for g in gateways if any(t.entry_ref and t.entry_ref.name == name for t in g.spec.tools))
    return all_of(INSTALLATION, installations) | all_of(GATEWAY, using)


def of_installation(versions: Sequence[Installation], gateways: Iterable[Gateway]) -> frozenset[Key]:
    """Return what counts or lists installations that changed from one of these versions to another, or came, or went."""
    entries = {i.spec.entry_ref.name for i in versions}
    installed = {(i.metadata.namespace, i.metadata.name) for i in versions}
    using = (
        g
        for g in gateways
        if any(
            (t.entry_ref and t.entry_ref.name in entries)
            or (t.installation_ref and (g.metadata.namespace, t.installation_ref.name) in installed)
            for t in g.spec.tools
        )
    )
    return frozenset({
        *(key(REGISTRY_ENTRY, "", entry) for entry in entries),
        *(key(ENVIRONMENT, "", i.status.environment) for i in versions if i.status.environment),
        *all_of(GATEWAY, using),
    })  # fmt: skip


def of_environments(environments: Iterable[str], installations: Iterable[Installation]) -> frozenset[Key]:
    """Return what depends on the environments: a default comes or goes for everyone, so all of them and all installations."""
    return frozenset({*(key(ENVIRONMENT, "", name) for name in environments), *all_of(INSTALLATION, installations)})


def entries_naming(kind: str, name: str, entries: Iterable[RegistryEntry]) -> tuple[str, ...]:
    """Return the names of the entries that name this Secret or ConfigMap of the catalog namespace."""
    return tuple(entry.metadata.name for entry in entries if (kind, name) in named_in_catalog(entry))


def of_namespace(namespace: str, installations: Iterable[Installation], gateways: Iterable[Gateway]) -> frozenset[Key]:
    """Return what stands in a namespace whose grants may have changed: its installations, and gateways."""
    return all_of(INSTALLATION, installations) | all_of(GATEWAY, (g for g in gateways if g.metadata.namespace == namespace))


def of_token(token_hash: str, tokens: Iterable[Any]) -> frozenset[Key]:
    """Return all tokens with that hash: a second one makes the first invalid."""
    return all_of(TOKEN, (t for t in tokens if t.spec.token_hash == token_hash))


def _key_of(kind: Kind, found: Any) -> Key:
    return key(kind, found.metadata.namespace, found.metadata.name)
