"""The six kinds: names, scope, columns, and their CustomResourceDefinitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wharfinger_crds import names
from wharfinger_crds.base import Object
from wharfinger_crds.environment import Environment
from wharfinger_crds.gateway import Gateway
from wharfinger_crds.grant import Grant
from wharfinger_crds.installation import Installation
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_crds.schema import structural_schema
from wharfinger_crds.token import Token


@dataclass(frozen=True)
class Kind:
    """One of our kinds, as its CRD names it."""

    kind: str
    plural: str
    short_name: str
    model: type[Object]
    namespaced: bool = True
    columns: tuple[tuple[str, str, str], ...] = ()
    """Name, type and JSON path of the printer columns before Ready."""
    wide_columns: tuple[tuple[str, str, str], ...] = ()
    selectable: tuple[str, ...] = ()
    """JSON paths for `kubectl get --field-selector`."""
    ready: bool = field(default=True)
    """Whether the kind has a Ready condition."""

    @property
    def resource(self) -> str:
        """The full resource name."""
        return f"{self.plural}.{names.GROUP}"


REGISTRY_ENTRY: Final = Kind(
    "McpRegistryEntry", "mcpregistryentries", "mre", RegistryEntry, namespaced=False,
    columns=(("Title", "string", ".spec.title"), ("Type", "string", ".spec.type"), ("Installations", "integer", ".status.installations")),
    wide_columns=(("Tools", "integer", ".status.tools.count"),),
    selectable=(".spec.type",),
)  # fmt: skip
INSTALLATION: Final = Kind(
    "McpInstallation", "mcpinstallations", "mcpi", Installation,
    columns=(("Entry", "string", ".spec.entryRef.name"), ("Phase", "string", ".status.phase"), ("Tools", "integer", ".status.tools.count")),
    wide_columns=(
        ("User", "string", ".spec.owner.user"), ("Team", "string", ".spec.owner.team"), ("Environment", "string", ".status.environment"),
        ("Image", "string", ".status.workload.image"),
    ),
    selectable=(".spec.entryRef.name", ".spec.owner.user", ".spec.owner.team"),
)  # fmt: skip
GATEWAY: Final = Kind(
    "McpGateway", "mcpgateways", "mcpgw", Gateway,
    columns=(("Scope", "string", ".spec.visibility.scope"), ("Tools", "integer", ".status.toolCount")),
    wide_columns=(("URL", "string", ".status.url"),),
)  # fmt: skip
ENVIRONMENT: Final = Kind(
    "Environment", "environments", "mcpenv", Environment, namespaced=False,
    columns=(("Default", "boolean", ".spec.default"), ("Egress", "string", ".spec.egress.mode"), ("Installations", "integer", ".status.installations")),
    wide_columns=(("Provider", "string", ".status.provider.name"), ("Enforced", "string", '.status.conditions[?(@.type=="EgressEnforced")].status')),
)  # fmt: skip
TOKEN: Final = Kind(
    "McpToken", "mcptokens", "mcptok", Token,
    columns=(
        ("User", "string", ".spec.subject.user"), ("Team", "string", ".spec.subject.team"), ("Organization", "boolean", ".spec.subject.organization"),
        ("Expires", "string", ".spec.expiresAt"),
    ),
    wide_columns=(("Last used", "string", ".status.lastUsed"),),
    selectable=(".spec.subject.user", ".spec.subject.team"),
)  # fmt: skip
GRANT: Final = Kind(
    "McpGrant", "mcpgrants", "mcpgrant", Grant,
    columns=(
        ("User", "string", ".spec.user"), ("Client", "string", ".spec.client.name"), ("Gateway", "string", ".spec.gateway"),
        ("Revoked", "boolean", ".spec.revoked"), ("Expires", "string", ".spec.expiresAt"),
    ),
    wide_columns=(
        ("Redirect", "string", ".spec.client.redirectHost"), ("Source", "string", ".spec.source"), ("Last used", "string", ".status.lastUsed"),
    ),
    selectable=(".spec.user", ".spec.client.digest", ".spec.gateway"), ready=False,
)  # fmt: skip
KINDS: Final = (REGISTRY_ENTRY, INSTALLATION, GATEWAY, ENVIRONMENT, TOKEN, GRANT)

_NAME_RULES: Final = [
    {"rule": f"size(self.metadata.name) <= {names.NAME_MAXIMUM}", "message": f"the name is longer than {names.NAME_MAXIMUM} characters"},
    {"rule": "!self.metadata.name.contains('.')", "message": "the name contains a dot; it must be a DNS label"},
]


def custom_resource_definition(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a kind (apiextensions.k8s.io/v1)."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.resource},
        "spec": {
            "group": names.GROUP,
            "names": {
                "kind": kind.kind, "listKind": f"{kind.kind}List", "plural": kind.plural, "singular": kind.kind.lower(),
                "shortNames": [kind.short_name], "categories": ["mcp"],
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [
                {
                    "name": names.VERSION, "served": True, "storage": True, "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(kind),
                    **({"selectableFields": [{"jsonPath": path} for path in kind.selectable]} if kind.selectable else {}),
                    "schema": {"openAPIV3Schema": _schema(kind)},
                }
            ],
        },
    }  # fmt: skip


def _columns(kind: Kind) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = [{"name": name, "type": type_, "jsonPath": path} for name, type_, path in kind.columns]
    if kind.ready:
        columns += [
            {"name": name.title(), "type": "string", "jsonPath": f'.status.conditions[?(@.type=="Ready")].{name}'}
            for name in ("status", "reason")
        ]
        columns[-2]["name"] = "Ready"
    columns += [{"name": name, "type": type_, "jsonPath": path, "priority": 1} for name, type_, path in kind.wide_columns]
    if kind.ready:
        columns.append({"name": "Message", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].message', "priority": 1})
    return [*columns, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]


def _schema(kind: Kind) -> dict[str, Any]:
    converted = structural_schema(kind.model)
    parts: Mapping[str, Any] = converted["properties"]
    return {
        "type": "object",
        "description": converted.get("description", ""),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": parts["spec"],
            "status": {**parts["status"], "default": {"observedGeneration": -1}},
        },
        "x-kubernetes-validations": _NAME_RULES,
    }
