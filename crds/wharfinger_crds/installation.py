"""McpInstallation: one entry, connected for one user or one team, with its own values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from wharfinger_crds import names
from wharfinger_crds.base import (
    IMMUTABLE,
    FieldName,
    KeyRef,
    Label,
    Model,
    Object,
    Ref,
    ShortText,
    Status,
    UserName,
    map_list,
    set_list,
    validations,
)

Value = Annotated[str, StringConstraints(max_length=65536)]
Phase = Literal["Pending", "Running", "Restarting", "Error", "Suspended", "NeedsAuthorization"]


class Owner(Model):
    """Whose installation it is."""

    model_config = ConfigDict(json_schema_extra=validations(("has(self.user) != has(self.team)", "exactly one of user and team")))
    user: UserName | None = None
    """`<identity provider>:<user>`: a personal installation."""
    team: Label | None = None
    """A team of the platform settings."""

    def __str__(self) -> str:
        return f"user {self.user}" if self.user else f"team {self.team}"


class FieldSource(Model):
    """Where the value of a field comes from."""

    field: FieldName
    """Name of the entry's field."""
    secret_key_ref: KeyRef
    """A key of a Secret in the same namespace."""


class Sharing(Model):
    """Who else may use the installation."""

    teams: tuple[Label, ...] = set_list(32)
    """Members of these teams may use a personal installation."""
    through_gateways: bool = False
    """A gateway that pins this installation may serve callers from outside the owner's scope."""


class InstallationSpec(Model):
    """What is installed, for whom, with which values."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            (
                "!has(self.values) || !has(self.valuesFrom) || !self.valuesFrom.exists(f, f.field in self.values)",
                "a field has its value either in values or in valuesFrom, not in both",
            ),
            (
                "!has(self.sharing) || !has(self.sharing.teams) || size(self.sharing.teams) == 0 || has(self.owner.user)",
                "only a personal installation is shared with teams",
            ),
        )
    )
    entry_ref: Annotated[Ref, Field(json_schema_extra=IMMUTABLE)]
    """The McpRegistryEntry."""
    owner: Annotated[Owner, Field(json_schema_extra=IMMUTABLE)]
    environment_ref: Ref | None = None
    """The entry's environment, or one of its allowedEnvironments; omitted: the entry's environment. A restricted one must be named."""
    values: Annotated[dict[str, Value], Field(default_factory=dict, max_length=32)]
    """Values of the entry's fields; never secret ones."""
    values_from: tuple[FieldSource, ...] = map_list("field", 16)
    """Values from Secrets."""
    sharing: Sharing | None = None
    suspend: bool = False
    """Scales the server to zero."""


class ServerInfo(Model):
    """What the server says of itself."""

    name: Annotated[str, StringConstraints(max_length=256)] = ""
    version: Annotated[str, StringConstraints(max_length=256)] = ""
    protocol_version: Annotated[str, StringConstraints(max_length=32)] = ""


class ToolSummary(Model):
    """The tools that were discovered; their full definitions are in a ConfigMap of the system namespace."""

    count: int = Field(ge=0)
    names: Annotated[tuple[Annotated[str, StringConstraints(max_length=256)], ...], Field(max_length=100)] = ()
    """The first hundred names, sorted."""
    hash: ShortText
    """Of the definitions as they are stored."""
    acceptance: ShortText | None = None
    """What an entry's `spec.tools.accepted` names to accept these definitions: the same whenever they say the same."""
    pinned_hash: ShortText | None = None
    """Of the definitions that are accepted, as they are stored, where the entry pins them."""
    offered_hash: ShortText | None = None
    """Of the definitions that gateways get, as they are stored; omitted: all of them."""

    @property
    def offered(self) -> str:
        """The hash of the definitions that gateways get."""
        return self.offered_hash or self.hash

    @property
    def config_maps(self) -> frozenset[str]:
        """The names of the ConfigMaps that hold definitions which count."""
        return frozenset(names.tools_name(one) for one in (self.hash, self.pinned_hash, self.offered_hash) if one)


class Workload(Model):
    """Where the server runs."""

    namespace: ShortText
    deployment: ShortText
    ready_replicas: int = Field(default=0, ge=0, json_schema_extra={"x-required": True})
    image: Annotated[str, StringConstraints(max_length=512)] = ""


class InstallationStatus(Status):
    """What the operator knows about the installation."""

    phase: Phase | None = None
    """Derived from the conditions, for people."""
    environment: Annotated[str, StringConstraints(max_length=253)] | None = None
    entry_generation: int | None = None
    """The generation of the entry that the workload was made from."""
    server: ServerInfo | None = None
    tools: ToolSummary | None = None
    workload: Workload | None = None


class Installation(Object):
    """One entry, connected for one user or one team."""

    spec: InstallationSpec
    status: InstallationStatus = InstallationStatus()
