"""A world read from manifests that a user could apply: what golden tests start from."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from wharfinger_crds.environment import Environment
from wharfinger_crds.grants import grants_of
from wharfinger_crds.installation import Installation
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_crds.settings import Settings, read_settings
from wharfinger_operator.cluster_facts import ClusterFacts, PolicyKind
from wharfinger_operator.plan.dns import dns_peer
from wharfinger_operator.plan.egress import POLICY_KINDS
from wharfinger_operator.plan.installation import plan_installation
from wharfinger_operator.world import Catalog, CatalogSecret, DnsService, EntryPoint, ImageAnswer, InstallationWorld

Manifest = dict[str, Any]
NOW = "2026-01-01T00:00:00Z"
ROOT_KEY = b"0123456789abcdef0123456789abcdef"
SETTINGS = read_settings(
    """
    publicUrl: https://mcp.acme.dev
    namespaces: {system: wharfinger-system, catalog: wharfinger-catalog, servers: [wharfinger-servers, mcp-prod], tenants: [team-a]}
    images: {base: registry.acme.dev/server-base:1, bridge: registry.acme.dev/wharfinger:1}
    teams: [{name: engineering, members: ["okta:alice"]}]
    """
)


def installation_world(documents: Sequence[Manifest], settings: Settings = SETTINGS) -> InstallationWorld:
    """Return the world of the one McpInstallation among the documents."""
    (found,) = _of_kind(documents, "McpInstallation")
    found["metadata"].setdefault("uid", "00000000-0000-0000-0000-000000000001")
    found["metadata"].setdefault("generation", 1)
    installation = Installation.parse(found)
    namespace = installation.metadata.namespace
    tenant: dict[str, Any] = next(
        (n["metadata"] for n in _of_kind(documents, "Namespace") if n["metadata"]["name"] == namespace), {"name": namespace}
    )
    entries = {e["metadata"]["name"]: RegistryEntry.parse(e) for e in _of_kind(documents, "McpRegistryEntry")}
    return InstallationWorld(
        namespace=namespace,
        name=installation.metadata.name,
        installation=installation,
        settings=settings,
        entry=entries.get(installation.spec.entry_ref.name),
        environments={e["metadata"]["name"]: Environment.parse(e) for e in _of_kind(documents, "Environment")},
        grants=grants_of(tenant.get("annotations", {})) if namespace in settings.namespaces.tenants else None,
        namespace_labels=tenant.get("labels", {}),
        secrets={s["metadata"]["name"]: _data(s) for s in _of_kind(documents, "Secret") if s["metadata"]["namespace"] == namespace},
        catalog=_catalog(documents, settings.namespaces.catalog),
        root_key=ROOT_KEY,
        dns=dns_peer(DnsService(("10.96.0.10",), (("UDP", "dns"), ("TCP", "dns-tcp"))), settings.dns),
        cluster=ClusterFacts(policy_kinds={kind: PolicyKind() for kind in POLICY_KINDS}),
    )


def answered(world: InstallationWorld, *, message: str = "") -> InstallationWorld:
    """Return the world in which the registry has answered the question of the plan, if that has one; with a `message`, that it cannot."""
    question = plan_installation(world).question
    if question is None:
        return world
    found = None if message else EntryPoint(("/usr/bin/tini", "--"), ("node", "server.js", "$(PATH)"))
    return replace(world, image=ImageAnswer(question.fingerprint, found, message))


def _catalog(documents: Sequence[Manifest], namespace: str) -> Catalog:
    here = [d for d in documents if d["metadata"].get("namespace") == namespace]
    secrets = {s["metadata"]["name"]: CatalogSecret(s.get("type", "Opaque"), _data(s)) for s in _of_kind(here, "Secret")}
    return Catalog(secrets, {m["metadata"]["name"]: m["data"] for m in _of_kind(here, "ConfigMap")})


def _data(secret: Manifest) -> dict[str, bytes]:
    return {key: value.encode() for key, value in secret["stringData"].items()}


def readable(manifest: Manifest) -> Manifest:
    """Return the manifest with the data of a Secret decoded."""
    if manifest["kind"] != "Secret":
        return manifest
    rest = {key: value for key, value in manifest.items() if key != "data"}
    return {**rest, "stringData": {key: base64.b64decode(value).decode() for key, value in manifest["data"].items()}}


def _of_kind(documents: Sequence[Manifest], kind: str) -> list[Manifest]:
    return [d for d in documents if d["kind"] == kind]
