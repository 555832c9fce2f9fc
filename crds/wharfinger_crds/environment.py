"""Environment: where servers run, and within which limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from wharfinger_crds.base import Label, Labels, Model, Object, ShortText, Status, UsedBy, map_list, set_list, validations
from wharfinger_crds.pod_defaults import PodDefaults

Cidr = Annotated[
    str,
    StringConstraints(max_length=49),
    Field(
        json_schema_extra=validations(
            ("isCIDR(self)", "is not a CIDR such as 203.0.113.0/24", "'\"' + self + '\" is not a CIDR such as 203.0.113.0/24'")
        )
    ),
]
_LABEL = r"[a-zA-Z0-9\x{80}-\x{10FFFF}]([-a-zA-Z0-9\x{80}-\x{10FFFF}]{0,61}[a-zA-Z0-9\x{80}-\x{10FFFF}])?"
"""A label as far as a pattern can tell; what IDNA makes of it is seen by `domain`."""


class Port(Model):
    """A port, or a range of ports."""

    model_config = ConfigDict(json_schema_extra=validations(("!has(self.endPort) || self.endPort >= self.port", "endPort is below port")))
    port: int = Field(ge=1, le=65535)
    end_port: int | None = Field(default=None, ge=1, le=65535)
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"


Ports = Annotated[tuple[Port, ...], Field(max_length=16)]


class CidrRule(Model):
    """Addresses that servers may reach."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            (
                "!has(self.except) || !isCIDR(self.cidr) || self.except.all(e, !isCIDR(e) || (cidr(self.cidr).containsCIDR(e)"
                " && cidr(self.cidr).prefixLength() < cidr(e).prefixLength()))",
                "except holds a block that is not a smaller one inside of cidr",
                "'except holds a block that is not a smaller one inside of ' + self.cidr",
            )
        )
    )
    cidr: Cidr
    except_: Annotated[tuple[Cidr, ...], Field(max_length=32)] = Field(default=(), alias="except")
    """Blocks inside of `cidr` that stay shut."""
    ports: Ports = ()
    """Omitted: every port."""


class DomainRule(Model):
    """Names that servers may reach."""

    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=255),
        Field(
            json_schema_extra=validations(
                (
                    rf"self.matches(r'^([*][*]?[.])?({_LABEL}[.])+{_LABEL}[.]?$')",
                    "is not a host name such as api.example.com, *.example.com or **.example.com",
                    "'\"' + self + '\" is not a host name such as api.example.com, *.example.com or **.example.com'",
                ),
                (
                    "!self.matches(r'[.]([0-9]+|0[xX][0-9a-fA-F]*)[.]?$')",
                    "ends in a number: addresses go into cidrs",
                    "'\"' + self + '\" ends in a number: addresses go into cidrs'",
                ),
            )
        ),
    ]
    """A host name; `*.` stands for exactly one label, `**.` for one or more. Of remote servers it opens no private address: those go into cidrs."""
    ports: Ports = ()
    """Omitted: 443."""


class ServiceRule(Model):
    """Pods of the cluster that servers may reach; blocks of addresses do not match pods on every provider."""

    namespace: Label
    pod_selector: Labels = Field(default_factory=dict)
    """Labels of the pods; omitted: all pods of the namespace."""
    ports: Ports = ()
    """Ports of the pods; omitted: every port."""


class Egress(Model):
    """What servers may reach."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            (
                "self.mode == 'Restricted' || ((!has(self.cidrs) || size(self.cidrs) == 0) && (!has(self.domains) || size(self.domains) == 0)"
                " && (!has(self.presets) || size(self.presets) == 0))",
                "cidrs, domains and presets go with mode Restricted only",
            )
        )
    )
    mode: Literal["DenyAll", "AllowAll", "Restricted"]
    """DenyAll: nothing. AllowAll: the internet, never metadata services and private ranges. Restricted: what is listed."""
    cidrs: tuple[CidrRule, ...] = map_list("cidr", 64)
    domains: tuple[DomainRule, ...] = map_list("name", 128)
    presets: tuple[Label, ...] = set_list(16)
    """Named lists of domains that come with the platform."""
    services: Annotated[tuple[ServiceRule, ...], Field(max_length=32)] = ()
    """Pods of the cluster; in every mode."""
    provider: Literal["Auto", "NetworkPolicy", "Cilium", "AWS", "GKE"] = "Auto"
    """Whose policies stand around servers beside the NetworkPolicy, which names no domains. Auto: those of the provider that the cluster shows."""
    enforcement: Literal["Report", "Require"] = "Report"
    """Report: the status says what is enforced. Require: no server starts before EgressEnforced is True, and DomainRulesEnforced where domains are
    named; where one becomes False, servers stop."""
    probe: Literal["Off", "On"] = "Off"
    """On: short-lived pods in the server namespace try whether rules are obeyed, now and then."""


class AllowedNamespaces(Model):
    """Whose installations may run in the environment."""

    names: tuple[Label, ...] = set_list(64)
    selector: Labels | None = None
    """Labels of the namespace."""


class EnvironmentSpec(Model):
    """Where servers run, and within which limits."""

    title: ShortText
    default: bool = False
    """The environment of entries that name none; at most one."""
    namespace: Label | None = None
    """One of the server namespaces of the platform settings; omitted: the first."""
    restricted: bool = False
    """Only who has the verb `deploy-to-restricted` on it assigns entries and installations to it, or changes the spec of assigned ones.
    An installation must name it in `spec.environmentRef`."""
    allowed_namespaces: AllowedNamespaces | None = None
    """Omitted: all tenants."""
    allowed_images: Annotated[tuple[ShortText, ...], Field(max_length=64)] = ()
    """Prefixes of image names, host and path, that end with `/*`, or whole names; omitted: every image."""
    allow_base_image: bool = True
    pod_defaults: PodDefaults | None = None
    egress: Egress


class ProviderStatus(Model):
    """Who enforces the egress rules."""

    name: ShortText
    source: Literal["Detected", "Override"]
    evidence: Annotated[tuple[ShortText, ...], Field(max_length=16)] = ()


class EnvironmentStatus(Status):
    """What the operator knows about the environment."""

    namespace: Annotated[str, StringConstraints(max_length=63)] | None = None
    """Where its servers run."""
    provider: ProviderStatus | None = None
    dns_addresses: Annotated[tuple[Annotated[str, StringConstraints(max_length=49)], ...], Field(max_length=32)] = ()
    """Blocks in which the cluster's DNS answers servers, beside its pods."""
    installations: int = Field(default=0, ge=0)
    """How many installations run there."""
    used_by: UsedBy = ()
    domains: int = Field(default=0, ge=0)
    """How many domains servers may reach, those of presets among them."""
    preset_version: int | None = Field(default=None, ge=1)
    """Version of the presets that are named, so that a release that means something else by them shows."""


class Environment(Object):
    """Where servers run, and within which limits."""

    spec: EnvironmentSpec
    status: EnvironmentStatus = EnvironmentStatus()
