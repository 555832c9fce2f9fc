"""Manifests of the cluster to values, one object at a time. Pure.

Invariants: nothing is raised for an object that cannot be used: it becomes a `Refused` with the reason, and no reason repeats a value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from wharfinger_crds import names
from wharfinger_crds.base import Object, misfits
from wharfinger_crds.connection import Connection, MalformedConnectionError, read_connection
from wharfinger_crds.environment import Environment
from wharfinger_crds.gateway import Gateway
from wharfinger_crds.grants import NamespaceGrants, grants_of
from wharfinger_crds.installation import Installation
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_crds.settings import Settings, SettingsError, read_settings
from wharfinger_crds.signing_keys import MalformedKeysError, SigningKey, read_signing_keys
from wharfinger_crds.token import Token
from wharfinger_crds.tool_definitions import MalformedDefinitionsError, definitions_hash, read_definitions
from wharfinger_gateway.snapshot import Refused, Tool
from wharfinger_mcp.egress_guard import EgressGuard, guard_of

MIN_ROOT_KEY: Final = 32
Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection and the name of its Secret."""

    secret: str
    connection: Connection = field(repr=False)
    guard: EgressGuard
    """What may be connected to for it."""
    fingerprint: str = field(repr=False)
    """Changes with anything that a request to the server is made of, and with the guard."""


@dataclass(frozen=True, slots=True)
class ToolList:
    """Tool definitions and the hash of their document."""

    hash: str
    tools: tuple[Tool, ...]


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and what it may hold."""

    name: str
    grants: NamespaceGrants


@dataclass(frozen=True, slots=True)
class RootKey:
    """What all keys of the gateway are derived from."""

    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What access tokens are signed with."""

    keys: tuple[SigningKey, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A Secret that the settings may name: of a client of ours, or of ours at an identity provider."""

    name: str
    data: Mapping[str, bytes] = field(repr=False)


_MODELS: Final[Mapping[str, type[Object]]] = {
    "McpGateway": Gateway,
    "McpInstallation": Installation,
    "McpRegistryEntry": RegistryEntry,
    "Environment": Environment,
    "McpToken": Token,
}
_METADATA: Final = frozenset({"name", "namespace", "uid", "creationTimestamp"})


class _Named(msgspec.Struct):
    name: str


_tool_documents = msgspec.json.Decoder(list[msgspec.Raw])
_tool_name = msgspec.json.Decoder(_Named)


def read(manifest: Manifest) -> object | Refused:
    """Return what an object of the cluster says: a model of one of our kinds, or one of the values above."""
    name = manifest["metadata"]["name"]
    match manifest["kind"]:
        case "Namespace":
            return _namespace(manifest)
        case "Secret":
            return _secret(manifest, name)
        case "ConfigMap":
            return _settings(manifest) if name == names.SETTINGS_CONFIGMAP else _tools(manifest)
        case kind:
            return _object(_MODELS[kind], manifest)


def _object(model: type[Object], manifest: Manifest) -> Object | Refused:
    """Return the object without its status and whatever else changes by itself."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name in _METADATA}
    try:
        return model.parse({"metadata": metadata, "spec": manifest.get("spec")})
    except ValidationError as error:
        return _refused(manifest, f"does not fit its schema at {misfits(error)}; is the CustomResourceDefinition older than the gateway?")


def _namespace(manifest: Manifest) -> Namespace:
    """Return the grants of a namespace; one that is being deleted still has them."""
    metadata = manifest["metadata"]
    return Namespace(metadata["name"], grants_of(metadata.get("annotations") or {}))


def _secret(manifest: Manifest, name: str) -> object | Refused:
    if name == names.ROOT_KEY_SECRET:
        return _root_key(manifest)
    if name == names.SIGNING_KEYS_SECRET:
        return _signing_keys(manifest)
    labels = manifest["metadata"].get("labels") or {}
    return ClientSecret(name, _data(manifest)) if labels.get(names.PART) == names.CLIENT_SECRET_PART else _connection(manifest)


def _signing_keys(manifest: Manifest) -> SigningKeys | Refused:
    text = _decoded(manifest, names.SIGNING_KEYS)
    if text is None:
        return _refused(manifest, f"has no {names.SIGNING_KEYS}")
    try:
        return SigningKeys(read_signing_keys(text))
    except MalformedKeysError as error:
        return _refused(manifest, str(error))


def _data(manifest: Manifest) -> Mapping[str, bytes]:
    found = {key: _decoded(manifest, key) for key in manifest.get("data") or {}}
    return MappingProxyType({key: value for key, value in found.items() if value is not None})


def _connection(manifest: Manifest) -> StoredConnection | Refused:
    """Return the connection in a Secret."""
    text = _decoded(manifest, names.CONNECTION_KEY)
    if text is None:
        return _refused(manifest, f"has no {names.CONNECTION_KEY}")
    try:
        connection = read_connection(text)
    except MalformedConnectionError as error:
        return _refused(manifest, str(error))
    request = connection.model_copy(update={"tools_hash": None}).text()
    fingerprint, guard = hashlib.sha256(request.encode()).hexdigest(), guard_of(connection)
    # The guard's copy of the rules is one for all connections that have the same.
    kept = connection.model_copy(update={"egress": guard.rules if connection.egress else None})
    return StoredConnection(manifest["metadata"]["name"], kept, guard, fingerprint)


def _tools(manifest: Manifest) -> ToolList | Refused:
    """Return the tool definitions in a ConfigMap, whose name must be that of their hash."""
    try:
        text = read_definitions(manifest)
        documents = [bytes(raw) for raw in _tool_documents.decode(text)]
        tools = [Tool(_tool_name.decode(document).name, document) for document in documents]
    except MalformedDefinitionsError as error:
        return _refused(manifest, str(error))
    except (msgspec.DecodeError, RecursionError):
        return _refused(manifest, f"its {names.TOOLS_KEY} is not a JSON list of tools with names")
    return ToolList(definitions_hash(text), tuple(sorted(tools, key=lambda tool: tool.name)))


def _root_key(manifest: Manifest) -> RootKey | Refused:
    """Return the root key in its Secret."""
    key = _decoded(manifest, names.ROOT_KEY)
    if key is None or len(key) < MIN_ROOT_KEY:
        return _refused(manifest, f"has no {names.ROOT_KEY} of at least {MIN_ROOT_KEY} bytes")
    return RootKey(key)


def _settings(manifest: Manifest) -> Settings | Refused:
    """Return the platform settings in their ConfigMap."""
    try:
        return read_settings((manifest.get("data") or {}).get(names.SETTINGS_KEY, ""))
    except SettingsError as error:
        return _refused(manifest, str(error))


def _decoded(manifest: Manifest, key: str) -> bytes | None:
    try:
        return base64.b64decode((manifest.get("data") or {})[key], validate=True)
    except (KeyError, binascii.Error, ValueError):
        return None


def _refused(manifest: Manifest, reason: str) -> Refused:
    metadata = manifest["metadata"]
    return Refused(manifest.get("kind", "object"), metadata.get("namespace", ""), metadata["name"], reason)
