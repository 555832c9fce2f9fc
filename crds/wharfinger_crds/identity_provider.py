"""An identity provider of the organization: where people log in, and whose tokens count.

A user's name is `<identity provider>:<username claim>`. The username claim must never change hands: `sub`, or an immutable id. Claims are
read as Kubernetes' API server reads them ("OpenID Connect Tokens": claim, prefix, e-mail only where it is verified).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from wharfinger_crds.base import DataKey, Duration, Label, Model, ShortText, Subdomain

Algorithm = Literal["RS256", "PS256", "ES256", "ES384", "Ed25519"]
"""Signatures that are accepted (RFC 7518 §3.1, RFC 9864); never HMAC, never none."""
CLIENTS: Final = "clients"
"""Stands in the place of an identity provider in the names of clients that call as themselves."""
Claim = Annotated[str, StringConstraints(min_length=1, max_length=256)]
SafeUrl = Annotated[str, StringConstraints(max_length=1024, pattern=r"^https?://[^\s?#]+$")]


def names_user(url: str) -> bool:
    """Tell whether a URL holds a user or a password: they would end up in tokens, documents and logs."""
    return "@" in url.partition("://")[2].partition("/")[0]


def is_safe(url: str) -> bool:
    """Tell whether secrets may be sent to a URL: https, or the loopback interface."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in {"localhost", "127.0.0.1", "::1"}


class SecretKey(Model):
    """One key of a Secret in the system namespace."""

    name: Subdomain
    key: DataKey


class BearerTokens(Model):
    """The provider's access tokens as bearer tokens of gateways that list it with `jwks: true`."""

    audiences: Annotated[tuple[ShortText, ...], Field(max_length=16)] = ()
    """Any of them; omitted: the gateway's own URL."""
    clients: Annotated[tuple[ShortText, ...], Field(max_length=64)] = ()
    """Whose tokens count, by their ids at the provider; omitted: those of any that it gives the gateway's audience to."""
    allow_id_tokens: bool = False
    """Take `typ: JWT` too, and tokens without one: ID tokens, whose audience is a client, look like that."""
    maximum_age: Duration = "24h"
    """Since `iat`, whatever `exp` says."""


class IdentityAssertions(Model):
    """ID-JAGs of the provider at the token endpoint, for gateways that list it with `idJag: true` (draft-ietf-oauth-identity-assertion-authz-grant)."""

    allow_public_clients: bool = False
    """Clients without a secret may present them."""
    tenant: ShortText | None = None
    """What `tenant` must say, where the provider serves several."""


class IdentityProvider(Model):
    """An OpenID provider."""

    name: Label
    title: ShortText | None = None
    """What people choose it by; omitted: its name."""
    issuer: SafeUrl
    """Exactly as its tokens say it."""
    client_id: ShortText
    client_secret_ref: SecretKey | None = None
    """Omitted: a public client; PKCE is used in any case."""
    scopes: Annotated[tuple[ShortText, ...], Field(max_length=16)] = ("openid", "profile", "email")
    username_claim: Claim = "sub"
    """`email` counts where `email_verified` is true."""
    groups_claim: Claim | None = None
    """A string or a list of strings."""
    groups_prefix: Annotated[str, StringConstraints(max_length=64)] = ""
    required_claims: Annotated[dict[Claim, Annotated[str, StringConstraints(max_length=256)]], Field(default_factory=dict, max_length=16)]
    """What else an ID token must say, such as `hd` or `tid`."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1, max_length=5)] = ("RS256", "ES256")
    bearer_tokens: BearerTokens = BearerTokens()
    identity_assertions: IdentityAssertions = IdentityAssertions()

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if names_user(self.issuer):
            raise ValueError("issuer: holds a user or a password, which no issuer does (OpenID Connect Discovery 1.0, §3)")
        if not is_safe(self.issuer):
            raise ValueError(f"issuer: {self.issuer} is not https")
        if self.name == CLIENTS:
            raise ValueError(f"name: {CLIENTS} is kept for clients that call as themselves")
        if "openid" not in self.scopes:
            raise ValueError("scopes: openid is missing")
        return self
