"""What the platform's authorization server allows: clients, lifetimes, how people log in."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from wharfinger_crds.address_ranges import network
from wharfinger_crds.base import Duration, Model, ShortText, UserName
from wharfinger_crds.identity_provider import SafeUrl, SecretKey, is_safe, names_user

RedirectUri = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
Host = Annotated[str, StringConstraints(max_length=253, pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of private and of secret keys (RFC 7518 §6)."""


class KeySet(Model):
    """Public keys (RFC 7517)."""

    keys: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=16)]


class Client(Model):
    """A client that is registered here, by name, and not by itself (RFC 6749 §2)."""

    id: Annotated[str, StringConstraints(max_length=200, pattern=r"^([-._A-Za-z0-9]+|https://[-.a-z0-9]+(:[0-9]+)?/[-._~A-Za-z0-9/]+)$")]
    """A name, or the URL of a metadata document, which is then not fetched: some hosts let nobody read it but browsers."""
    name: ShortText
    redirect_uris: Annotated[tuple[RedirectUri, ...], Field(max_length=10)] = ()
    secret_ref: SecretKey | None = None
    """Omitted: a public client."""
    method: Literal["client_secret_basic", "client_secret_post", "private_key_jwt"] = "client_secret_basic"
    """How it proves itself at the token endpoint (RFC 7591 §2): with its secret, or with assertions that it signs (RFC 7523)."""
    jwks: KeySet | None = None
    """What it signs with, for private_key_jwt."""
    jwks_uri: SafeUrl | None = None
    """Where those keys are; they are fetched anew every five minutes."""

    @model_validator(mode="after")
    def _proves_itself_in_one_way(self) -> Self:
        given = [name for name, value in (("jwks", self.jwks), ("jwksUri", self.jwks_uri)) if value is not None]
        if self.method != "private_key_jwt":
            if given:
                raise ValueError(f"{given[0]}: only with method: private_key_jwt")
            return self
        if self.secret_ref is not None:
            raise ValueError("secretRef: there is none with method: private_key_jwt")
        if len(given) != 1:
            raise ValueError("method: private_key_jwt takes one of jwks and jwksUri")
        if self.jwks is not None and any(_PRIVATE & key.keys() for key in self.jwks.keys):
            raise ValueError("jwks: holds a private or a secret key, which everybody can read here: replace it, and list public ones")
        if self.jwks_uri is not None and names_user(self.jwks_uri):
            raise ValueError("jwksUri: holds a user or a password")
        if self.jwks_uri is not None and not is_safe(self.jwks_uri):
            raise ValueError(f"jwksUri: {self.jwks_uri} is not https")
        return self


class Registration(Model):
    """How clients make themselves known."""

    dynamic: Literal["KnownHosts", "Open", "Off"] = "KnownHosts"
    """RFC 7591. KnownHosts: redirects to the loopback interface, to apps and to `redirectHosts`; Open: to any https host."""
    metadata_documents: Literal["On", "Off"] = "On"
    """Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document)."""
    redirect_hosts: Annotated[tuple[Host, ...], Field(max_length=64)] = (
        "claude.ai",
        "claude.com",
        "chatgpt.com",
        "vscode.dev",
        "insiders.vscode.dev",
        "www.cursor.com",
    )
    """`*.` stands for one label."""
    document_hosts: Annotated[tuple[Host, ...], Field(max_length=64)] = ()
    """Whose metadata documents count; omitted: any host's."""
    denied: Annotated[tuple[RedirectUri, ...], Field(max_length=256)] = ()
    """Ids of clients that do not count any more."""


class DevelopmentLogin(Model):
    """A login without any proof, to try the platform before it has an identity provider: everybody can be each of the users."""

    i_know_that_anybody_can_be_anyone: Literal[True]
    users: Annotated[tuple[UserName, ...], Field(min_length=1, max_length=16)]


class OAuth(Model):
    """The authorization server."""

    access_lifetime: Duration = "1h"
    """Of access tokens."""
    refresh_idle: Duration = "336h"
    """Refresh tokens that are not used for so long end: 14 days."""
    refresh_lifetime: Duration = "720h"
    """However much they are used: 30 days."""
    upstream_token_grace: Duration = "168h"  # noqa: S105 - a duration
    """Tokens for an installation's server outlive the installation by so long: 7 days, in which a restore from a backup brings it back without
    a new login. They stay usable at that server, so it is not longer."""
    clients: Annotated[tuple[Client, ...], Field(max_length=256)] = ()
    registration: Registration = Registration()
    development_login: DevelopmentLogin | None = None
    trusted_proxies: Annotated[tuple[Annotated[str, StringConstraints(max_length=49)], ...], Field(max_length=32)] = ()
    """Addresses (CIDRs) of what forwards requests to the gateway: whom they name in X-Forwarded-For is counted for limits, and not they."""

    @model_validator(mode="after")
    def _names_networks(self) -> Self:
        for text in self.trusted_proxies:
            try:
                network(text)
            except ValueError:
                raise ValueError(f"trustedProxies: {text!r} is no CIDR such as 10.0.0.0/8") from None
        return self

    @model_validator(mode="after")
    def _names_clients_once(self) -> Self:
        ids = [client.id for client in self.clients]
        for name in sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"clients: {name} is there twice")
        return self
