"""McpRegistryEntry: a server that the organization has approved, as a template for installations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from wharfinger_crds.auth import Auth
from wharfinger_crds.base import (
    Duration,
    FieldName,
    FreeForm,
    HeaderName,
    KeyRef,
    Label,
    Model,
    Object,
    Ref,
    ShortText,
    Status,
    Subdomain,
    Text,
    UsedBy,
    map_list,
    set_list,
    validations,
)
from wharfinger_crds.visibility import EntryVisibility

Template = Annotated[str, StringConstraints(max_length=4096)]
"""Text in which `${fields.NAME}` stands for the value of a field of the installation."""
AcceptanceHash = Annotated[str, StringConstraints(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
EnvName = Annotated[str, StringConstraints(max_length=253, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
FIELD_IN_HOST = r"self.matches('^https?://[^/?#$]+([/?#].*)?$')"


class InstallField(Model):
    """A value that an installation gives."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            ("(self.type == 'Choice') == (has(self.choices) && size(self.choices) > 0)", "choices goes with type Choice, and only with it"),
            ("!has(self.pattern) || self.type == 'String'", "pattern goes with type String only"),
            (
                "!has(self.default) || !has(self.secret) || !self.secret",
                "a secret field cannot have a default: it would stand here in plain text",
            ),
        )
    )
    name: FieldName
    """The NAME in `${fields.NAME}`."""
    title: Text | None = None
    """For people."""
    description: Text | None = None
    """For people: where to find the value."""
    type: Literal["String", "Number", "Boolean", "Choice", "File"]
    """Number and Boolean are checked; File is text that ends up in a file of the server."""
    choices: tuple[ShortText, ...] = set_list(64)
    """The allowed values of a Choice."""
    required: bool = False
    """An installation without a value waits."""
    secret: bool = False
    """The value comes from a Secret and never reaches arguments, URLs, pod specs, status, events or logs."""
    default: Template | None = None
    """Used when an installation gives no value."""
    pattern: Annotated[str, StringConstraints(max_length=512)] | None = None
    """A regular expression (RE2) that must match somewhere in the value; anchor it with ^ and $."""


class EnvVar(Model):
    """An environment variable of the server."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            (
                "[has(self.value), has(self.secretKeyRef), has(self.configMapKeyRef)].exists_one(x, x)",
                "exactly one of value, secretKeyRef, configMapKeyRef",
            )
        )
    )
    name: EnvName
    value: Template | None = None
    """Text, with `${fields.NAME}`."""
    secret_key_ref: KeyRef | None = None
    """A key of a Secret of the catalog namespace."""
    config_map_key_ref: KeyRef | None = None
    """A key of a ConfigMap of the catalog namespace."""


class File(Model):
    """A file of the server."""

    path: Annotated[str, StringConstraints(max_length=512, pattern=r"^/([^/\s]+/)*[^/\s]+$")]
    """Absolute path in the container."""
    value: Annotated[str, StringConstraints(max_length=65536)]
    """Contents, with `${fields.NAME}`; secret fields are allowed."""


class Header(Model):
    """A header that the gateway sends to the server."""

    name: HeaderName
    value: Template
    """Text, with `${fields.NAME}`; secret fields are allowed."""


class Remote(Model):
    """A server that runs elsewhere."""

    url: Annotated[
        str,
        StringConstraints(max_length=2048),
        Field(
            json_schema_extra=validations(
                (FIELD_IN_HOST, "must be an http or https URL; fields may stand in its path and query, never in scheme or host"),
                (
                    "self.startsWith('https://') || self.matches('^http://[^/?#]+[.]svc([.]cluster[.]local)?(:[0-9]+)?([/?#].*)?$')",
                    "must be https, or http to a Service of the cluster (NAME.NAMESPACE.svc)",
                ),
            )
        ),
    ]
    """URL of the MCP endpoint, with `${fields.NAME}` in path and query."""
    transport: Literal["Auto", "StreamableHTTP", "SSE"] = "Auto"
    """Auto: streamable HTTP or, where the server refuses that, HTTP+SSE of revision 2024-11-05."""
    ca_bundle_ref: KeyRef | None = None
    """CA certificates (PEM) in a ConfigMap of the catalog namespace, for servers with a private CA."""


class Stdio(Model):
    """How a stdio server is shared."""

    sessions: Literal["Shared", "PerSession"] = "Shared"
    """Shared: one process for all callers, which can ask none of them anything. PerSession: a process a session, which may ask its caller
    (elicitation, sampling, roots) and has log records and subscribed resources told to it."""
    max_sessions: int | None = Field(default=None, ge=1, le=256)
    """PerSession: how many processes at most, which share the container's limits; omitted: 8."""
    idle_timeout: Duration | None = None
    """PerSession: when an unused process ends; omitted: 5m."""


class HttpServer(Model):
    """Where a streamable HTTP server listens in its container."""

    port: int = Field(default=8080, ge=1, le=65535)
    path: Annotated[str, StringConstraints(max_length=512, pattern=r"^/[^\s?#]*$")] = "/mcp"
    stateless: bool = False
    """The server keeps no sessions: several replicas are safe."""


class RegistryCredentials(Model):
    """A login to an image registry."""

    server: ShortText
    """Host of the registry."""
    secret_ref: Annotated[Ref, Field()]
    """A Secret of the catalog namespace with the keys `username` and `password`."""


class PullSecret(Model):
    """An image pull Secret of the catalog namespace."""

    name: Subdomain


class SelfHosted(Model):
    """A server that the operator runs."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            (
                "has(self.image) || (has(self.command) && size(self.command) > 0)",
                "without image (the platform's base image), command is required",
            ),
            ("self.transport == 'Stdio' || !has(self.stdio)", "stdio goes with transport Stdio only"),
            ("self.transport == 'StreamableHTTP' || !has(self.http)", "http goes with transport StreamableHTTP only"),
            (
                "!has(self.replicas) || self.replicas <= 1 || (has(self.http) && has(self.http.stateless) && self.http.stateless)",
                "more than one replica needs http.stateless: true",
            ),
        )
    )
    image: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\s$]+$")] | None = None
    """Container image; omitted: the platform's base image, with uvx and npx."""
    command: Annotated[tuple[Template, ...], Field(max_length=64)] = ()
    """Program and first arguments; omitted: the image's own entry point."""
    args: Annotated[tuple[Template, ...], Field(max_length=128)] = ()
    """Further arguments, with `${fields.NAME}` (never secret fields)."""
    transport: Literal["Stdio", "StreamableHTTP"]
    """How the server speaks MCP."""
    stdio: Stdio | None = None
    http: HttpServer | None = None
    env: tuple[EnvVar, ...] = map_list("name", 128)
    files: tuple[File, ...] = map_list("path", 32)
    image_pull_secrets: tuple[PullSecret, ...] = map_list("name", 8)
    """Pull Secrets of the catalog namespace, copied beside the workload."""
    registry_credentials: tuple[RegistryCredentials, ...] = map_list("server", 8)
    """Logins from which a pull Secret is built."""
    replicas: int | None = Field(default=None, ge=1, le=20)
    deployment: FreeForm | None = None
    """A partial Deployment spec, merged strategically; limited to allowed paths. Our container is `server`, others are sidecars.
    null takes a field out, where the object is applied server-side: `kubectl apply` without `--server-side` drops nulls."""


class DiscoverySettings(Model):
    """How often the server is asked for its tools."""

    interval: Duration = "5m"
    timeout: Duration = "30s"


class ToolSettings(Model):
    """What happens when a server's tool definitions change."""

    pinning: Literal["Off", "Report", "Withhold"] = "Off"
    """Off: whatever the server says is offered. Report: a change is a condition of the installation. Withhold: and gateways offer
    only what is as it was accepted."""
    accepted: tuple[AcceptanceHash, ...] = set_list(64)
    """Definitions that were looked at and accepted, as `status.tools.acceptance` of an installation names them. While this is
    empty, the first definitions that an installation's server lists are taken for accepted; a status remembers them, and a status
    is lost when the cluster is restored from manifests. What is named here is not."""


class RegistryEntrySpec(Model):
    """What the server is and what it needs."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            ("(self.type == 'Remote') == has(self.remote)", "remote goes with type Remote, and only with it"),
            ("(self.type == 'SelfHosted') == has(self.selfHosted)", "selfHosted goes with type SelfHosted, and only with it"),
        )
    )
    title: ShortText
    """Name for people."""
    description: Annotated[str, StringConstraints(max_length=4096)] | None = None
    icon: Annotated[str, StringConstraints(max_length=8192)] | None = None
    """A URL or data URL."""
    docs_url: Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://")] | None = None
    version: Annotated[str, StringConstraints(max_length=64)] | None = None
    visibility: EntryVisibility | None = None
    """Who may see and install it; omitted: the organization."""
    environment_ref: Ref | None = None
    """Where installations run and whose egress rules they obey; omitted: the environment with `default: true`."""
    allowed_environments: tuple[Label, ...] = set_list(32)
    """What an installation may choose instead."""
    type: Literal["Remote", "SelfHosted"]
    remote: Remote | None = None
    self_hosted: SelfHosted | None = None
    fields: tuple[InstallField, ...] = map_list("name", 32)
    """Values that an installation gives."""
    auth: Auth | None = None
    """What the server wants to see; omitted: nothing."""
    headers: tuple[Header, ...] = map_list(
        "name",
        32,
        (
            "!self.exists(h, h.name.lowerAscii() in ['host', 'cookie', 'connection', 'content-length', 'content-type', 'transfer-encoding', 'upgrade', 'te',"
            " 'trailer', 'accept', 'proxy-authorization'] || h.name.lowerAscii().startsWith('mcp-'))",
            "host, cookie, accept, content-*, mcp-* and hop-by-hop headers cannot be set",
        ),
    )
    """Headers for the server, beside the credential."""
    discovery: DiscoverySettings | None = None
    tools: ToolSettings | None = None


class EntryTools(Model):
    """The tools of the entry's newest authorized installation."""

    count: int = Field(ge=0)
    hash: ShortText
    config_map: Subdomain
    """The ConfigMap of the system namespace that holds the definitions."""


class RegistryEntryStatus(Status):
    """What the operator knows about the entry."""

    installations: int = Field(default=0, ge=0)
    """How many installations name it."""
    used_by: UsedBy = ()
    tools: EntryTools | None = None


class RegistryEntry(Object):
    """A server that the organization has approved; an installation is the connection made from it."""

    spec: RegistryEntrySpec
    status: RegistryEntryStatus = RegistryEntryStatus()
