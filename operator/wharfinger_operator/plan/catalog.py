"""What an entry takes from the catalog namespace: which objects it names, and the values of its environment variables.

A pod can only refer to its own namespace, so values are copied into the server's own Secret, from which the pods read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.base import KeyRef
from wharfinger_crds.registry_entry import RegistryEntry, SelfHosted
from wharfinger_operator.plan.once import once
from wharfinger_operator.world import Catalog

Named = tuple[str, str]
"""Kind (Secret or ConfigMap) and name."""
_VALUE_LIMIT: Final = 65536


@once
def named_in_catalog(entry: RegistryEntry) -> frozenset[Named]:
    """Return the objects of the catalog namespace that an entry names."""
    hosted = entry.spec.self_hosted
    if hosted is None:
        return frozenset()
    return frozenset({
        *(("Secret", e.secret_key_ref.name) for e in hosted.env if e.secret_key_ref),
        *(("ConfigMap", e.config_map_key_ref.name) for e in hosted.env if e.config_map_key_ref),
        *(("Secret", pull.name) for pull in hosted.image_pull_secrets),
        *(("Secret", credentials.secret_ref.name) for credentials in hosted.registry_credentials),
    })  # fmt: skip


def environment_values(hosted: SelfHosted, catalog: Catalog, namespace: str) -> Mapping[str, str] | c.Finding:
    """Return the values of the variables that come from the catalog, or the finding (ValuesResolved=False) that says what is missing."""
    values: dict[str, str] = {}
    for variable in hosted.env:
        place = f"spec.selfHosted.env[{variable.name}]"
        value: bytes | str | c.Finding
        if variable.secret_key_ref:
            value = secret_value(variable.secret_key_ref, catalog, namespace, place)
        elif variable.config_map_key_ref:
            value = _config_map_value(variable.config_map_key_ref, catalog, namespace, place)
        else:
            continue
        if isinstance(value, c.Finding):
            return value
        text = _text(value)
        if text is None:
            return c.false(
                c.VALUES_RESOLVED,
                c.FIELD_INVALID,
                f"{place}: the value in namespace {namespace} is not UTF-8 text of at most {_VALUE_LIMIT} characters without NUL",
            )
        values[variable.name] = text
    return values


def secret_value(ref: KeyRef, catalog: Catalog, namespace: str, place: str) -> bytes | c.Finding:
    """Return the value of a key of a Secret of the catalog namespace, or the finding that says what is missing."""
    secret = catalog.secrets.get(ref.name)
    if secret is None:
        return missing("Secret", ref.name, namespace, place)
    if ref.key not in secret.data:
        return c.false(
            c.VALUES_RESOLVED, c.SECRET_MISSING, f"{place}: Secret {ref.name} of namespace {namespace} has no key {ref.key}: add it"
        )
    return secret.data[ref.key]


def _config_map_value(ref: KeyRef, catalog: Catalog, namespace: str, place: str) -> str | c.Finding:
    data = catalog.config_maps.get(ref.name)
    if data is None:
        return missing("ConfigMap", ref.name, namespace, place)
    if ref.key not in data:
        return c.false(
            c.VALUES_RESOLVED, c.CONFIG_MAP_MISSING, f"{place}: ConfigMap {ref.name} of namespace {namespace} has no key {ref.key}: add it"
        )
    return data[ref.key]


def missing(kind: str, name: str, namespace: str, place: str) -> c.Finding:
    """Return the finding (ValuesResolved=False) for an object that is not in the catalog namespace, or not opted in."""
    return c.false(
        c.VALUES_RESOLVED,
        c.SECRET_MISSING if kind == "Secret" else c.CONFIG_MAP_MISSING,
        f'{place}: there is no {kind} {name} with the label {names.USABLE}: "true" in namespace {namespace}: create or label it',
    )


def _text(value: bytes | str) -> str | None:
    try:
        text = value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return None
    return text if len(text) <= _VALUE_LIMIT and "\0" not in text else None
