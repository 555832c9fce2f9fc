"""McpGateway: one endpoint for MCP clients, with chosen tools."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from wharfinger_crds import passthrough
from wharfinger_crds.base import Duration, HeaderName, Label, Model, Object, Quantity, Ref, ShortText, Status, map_list, validations
from wharfinger_crds.visibility import GatewayVisibility

ToolPattern = Annotated[str, StringConstraints(min_length=1, max_length=128)]
ExposedName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
Prefix = Annotated[
    str, StringConstraints(min_length=1, max_length=32, pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(_[a-zA-Z0-9-]*[a-zA-Z0-9])*$")
]


class ToolAssignment(Model):
    """Tools of one installation, or of whichever installation of an entry is the caller's."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            (
                "has(self.installationRef) != has(self.entryRef)",
                "exactly one of installationRef (pinned) and entryRef (resolved at each call)",
            ),
            ("has(self.entryRef) || !has(self.environmentRef)", "environmentRef goes with entryRef only"),
        )
    )
    installation_ref: Ref | None = None
    """An installation of the same namespace."""
    entry_ref: Ref | None = None
    """An entry; at each call one of the caller's installations of it is used."""
    environment_ref: Ref | None = None
    """Only installations in this environment."""
    prefix: Prefix | None = None
    """Tools are named `<prefix>__<tool>`; omitted: the name of the installation or entry."""
    include: Annotated[tuple[ToolPattern, ...], Field(max_length=256)] = ()
    """Names of tools; `*` stands for any text. Omitted: none."""
    exclude: Annotated[tuple[ToolPattern, ...], Field(max_length=256)] = ()
    rename: Annotated[dict[str, ExposedName], Field(default_factory=dict, max_length=256)]
    """Other names for tools; they take the place of `<tool>`."""
    resources: Annotated[tuple[ShortText, ...], Field(max_length=256)] = ()
    """URIs of resources, or templates of URIs as the server has them; `*` stands for any text. Omitted: none."""
    prompts: Annotated[tuple[ToolPattern, ...], Field(max_length=256)] = ()
    """Names of prompts, which are exposed as `<prefix>__<prompt>`; `*` stands for any text. Omitted: none."""


class OAuthDoor(Model):
    """Login with OAuth."""

    enabled: bool = False


class BearerDoor(Model):
    """Static bearer tokens (McpToken)."""

    enabled: bool = False


class ServiceAccountDoor(Model):
    """Tokens of the cluster's service accounts, made for the gateway's URL; they call as the teams that list them."""

    enabled: bool = False


class IdentityProviderDoor(Model):
    """Tokens of an identity provider of the platform settings."""

    name: Label
    jwks: bool = False
    id_jag: bool = False


class Authentication(Model):
    """How callers prove who they are."""

    oauth: OAuthDoor | None = None
    identity_providers: tuple[IdentityProviderDoor, ...] = map_list("name", 16)
    bearer_tokens: BearerDoor | None = None
    service_accounts: ServiceAccountDoor | None = None


class Limits(Model):
    """Limits for each replica of the gateway."""

    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    """Of each caller, all his tokens together. A minute's worth can be sent at once; a batch counts as what is in it."""
    concurrent_calls: int | None = Field(default=None, ge=1, le=100_000)
    """Tool calls of each caller that are under way."""
    call_timeout: Duration = "60s"
    max_request_bytes: Quantity = "4Mi"


class GatewaySpec(Model):
    """Who may use which tools, how."""

    title: ShortText
    visibility: GatewayVisibility
    tools: Annotated[tuple[ToolAssignment, ...], Field(max_length=64)] = ()
    authentication: Authentication
    exposure: Literal["All", "OnDemand"] = "All"
    """OnDemand: search_tools and run_tool instead of the full list."""
    header_passthrough: Annotated[
        tuple[HeaderName, ...],
        Field(
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "set"} | validations((passthrough.rule(), passthrough.MESSAGE)),
        ),
    ] = ()
    """Headers of clients that reach HTTP servers, by name in any case; what a connection sets itself wins. Servers behind the stdio bridge get none."""
    limits: Limits | None = None


class UnresolvedTool(Model):
    """An assignment that gives no tool today."""

    tool: Annotated[str, StringConstraints(max_length=512)]
    reason: Annotated[str, StringConstraints(max_length=1024)]


class GatewayStatus(Status):
    """What the operator knows about the gateway."""

    url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    tool_count: int = Field(default=0, ge=0)
    unresolved: Annotated[tuple[UnresolvedTool, ...], Field(max_length=64)] = ()


class Gateway(Object):
    """One endpoint for MCP clients, with chosen tools."""

    spec: GatewaySpec
    status: GatewayStatus = GatewayStatus()
