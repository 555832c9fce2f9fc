"""Platform settings: one document in a ConfigMap of the system namespace, written by the chart, watched by both programs."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from wharfinger_crds.base import Label, Model, Subdomain, UserName
from wharfinger_crds.identity_provider import IdentityProvider, names_user
from wharfinger_crds.oauth import OAuth
from wharfinger_crds.pod_defaults import PodDefaults, resources_problem

Url = Annotated[str, StringConstraints(max_length=1024, pattern=r"^https?://[^/?#\s]+(/[^?#\s]*[^/?#\s])?$")]
_PATH: Final = re.compile(r"(/(?!\.)[-._~A-Za-z0-9]+)*")
"""What needs no encoding, in no reader's eyes: it stands in URLs that are compared as strings, and in cookies."""


class Group(Model):
    """A group of an identity provider."""

    identity_provider: Label
    group: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    """As its tokens say it, with the provider's prefix."""


class ServiceAccount(Model):
    """A service account of the cluster."""

    namespace: Label
    name: Subdomain


class Team(Model):
    """A team: who is in it."""

    name: Label
    members: tuple[UserName, ...] = ()
    groups: tuple[Group, ...] = ()
    """Whoever an identity provider counts among them is in the team."""
    service_accounts: tuple[ServiceAccount, ...] = ()
    """Call as the team."""


class Namespaces(Model):
    """The four sorts of namespaces."""

    system: Label
    """The Helm release's own."""
    catalog: Label
    """Holds the Secrets and ConfigMaps that entries may name."""
    servers: Annotated[tuple[Label, ...], Field(min_length=1)]
    """Workloads only; the first is the default."""
    tenants: tuple[Label, ...] = ()
    """Hold installations and gateways."""


class Images(Model):
    """Images that the operator puts into pods."""

    base: Annotated[str, StringConstraints(min_length=1)]
    """For entries without an image."""
    bridge: Annotated[str, StringConstraints(min_length=1)]
    """Brings the stdio bridge."""
    insecure_registries: tuple[Annotated[str, StringConstraints(max_length=253, pattern=r"^[a-z0-9.:\[\]-]+$")], ...] = ()
    """Hosts of registries that are asked over plain HTTP, with the port; those on the loopback interface always are."""


class Servers(Model):
    """What holds for every server that the operator runs."""

    pod_defaults: PodDefaults | None = None
    """Defaults for pods; an environment's come on top, then the entry's."""

    @model_validator(mode="after")
    def _has_good_resources(self) -> Self:
        if self.pod_defaults and (problem := resources_problem(self.pod_defaults)):
            raise ValueError(f"podDefaults.{problem}")
        return self


class Dns(Model):
    """What answers names for servers, so that egress rules leave a way to it."""

    platform: Literal["Generic", "OpenShift", "Gardener", "NodeLocal", "EKSAuto", "AKSLocalDNS", "GKE", "CloudDNS"] = "Generic"
    """Generic: the pods and the address of the Service kube-system/kube-dns."""
    addresses: Annotated[tuple[str, ...], Field(max_length=8)] = ()
    """Addresses in place of those of the Service kube-system/kube-dns."""

    @model_validator(mode="after")
    def _has_addresses(self) -> Self:
        for text in self.addresses:
            try:
                ipaddress.ip_address(text)
            except ValueError:
                raise ValueError(f"addresses: {text!r} is no IP address") from None
        if self.platform == "EKSAuto" and not self.addresses:
            raise ValueError(
                "addresses: needed with EKSAuto, where no pods and often no Service stand for DNS: the .10 of the Services' range"
            )
        return self


class Settings(Model):
    """Settings of the platform."""

    public_url: Url
    """Where clients reach the gateway; no slash at the end.

    With a path, https://example.com/tools say, what is in front of the gateway takes that path off the requests below it, and passes on as
    they are those below /.well-known/oauth-authorization-server/tools and /.well-known/oauth-protected-resource/tools (RFC 8414 §3.1,
    RFC 9728 §3.1).
    """
    namespaces: Namespaces
    images: Images
    teams: tuple[Team, ...] = ()
    servers: Servers = Servers()
    dns: Dns = Dns()
    identity_providers: Annotated[tuple[IdentityProvider, ...], Field(max_length=16)] = ()
    oauth: OAuth = OAuth()

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        if names_user(self.public_url):
            raise ValueError("publicUrl: holds a user or a password")
        if not _PATH.fullmatch(urlsplit(self.public_url).path):
            raise ValueError(
                "publicUrl: its path has segments that are empty or begin with a dot, or characters other than - . _ ~ A-Z a-z 0-9"
            )
        providers = [one.name for one in self.identity_providers]
        for name in sorted({name for name in providers if providers.count(name) > 1}):
            raise ValueError(f"identityProviders: {name} is there twice")
        issuers = [one.issuer for one in self.identity_providers]
        for issuer in sorted({issuer for issuer in issuers if issuers.count(issuer) > 1}):
            raise ValueError(f"identityProviders: the issuer {issuer} is there twice")
        for team in self.teams:
            for group in team.groups:
                if group.identity_provider not in providers:
                    raise ValueError(f"teams.{team.name}.groups: identityProviders has no {group.identity_provider}")
        return self

    def teams_of(self, user: str) -> frozenset[str]:
        """Return the names of the teams that the user is a member of."""
        return frozenset(team.name for team in self.teams if user in team.members)


class SettingsError(ValueError):
    """The document is not one; the message names each field by its path."""


def read_settings(text: str) -> Settings:
    """Return the settings of a YAML document.

    Raises SettingsError, naming the path of every field that is wrong.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"settings are not YAML: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError("settings are not a YAML mapping")
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(f"settings: {problems}") from None
