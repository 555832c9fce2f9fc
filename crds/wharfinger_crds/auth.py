"""What an entry's server wants to see as credential."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from wharfinger_crds.base import HeaderName, Label, Model, Ref, ShortText, set_list, validations

Url = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://")]
Credential = Annotated[str, StringConstraints(max_length=4096)]
Scope = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[\x21\x23-\x5B\x5D-\x7E]+$")]
"""A scope token (RFC 6749 §3.3)."""


class StaticAuth(Model):
    """A credential that the installation holds."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            ("(has(self.as) && self.as == 'Header') == has(self.header)", "header goes with as: Header, and only with it")
        )
    )
    value: Credential
    """Text with `${fields.NAME}`; the field should be secret."""
    as_: Literal["Bearer", "Raw", "Header"] = Field(default="Bearer", alias="as")
    """Bearer: `Authorization: Bearer <value>`; Raw: `Authorization: <value>`; Header: the named header."""
    header: HeaderName | None = None


class OAuthAuth(Model):
    """OAuth 2.1, for each installation, in a browser."""

    scopes: tuple[Scope, ...] = set_list(64)
    issuer: Url | None = None
    client_ref: Ref | None = None
    authorization_endpoint: Url | None = None
    token_endpoint: Url | None = None
    resource: Url | None = None
    omit_resource: bool = False


class ClientCredentialsAuth(Model):
    """OAuth 2.1 client credentials, shared by everyone who may use the installation."""

    model_config = ConfigDict(
        json_schema_extra=validations(("has(self.tokenEndpoint) != has(self.issuer)", "exactly one of tokenEndpoint and issuer"))
    )
    token_endpoint: Url | None = None
    issuer: Url | None = None
    client_id: ShortText | None = None
    client_secret: Credential | None = None
    client_ref: Ref | None = None
    scopes: tuple[Scope, ...] = set_list(64)
    audience: ShortText | None = None
    method: Literal["Basic", "Post"] = "Basic"


class TokenExchangeAuth(Model):
    """A token of the caller's identity provider, exchanged for each caller."""

    identity_provider: Label
    strategy: Literal["RFC8693", "IDJAG", "EntraOBO"]
    audience: ShortText | None = None
    resource: Url | None = None
    scopes: tuple[Scope, ...] = set_list(64)


class JwtPassthroughAuth(Model):
    """The caller's own JWT, sent on; outside of the MCP specification, so it is marked."""

    audience: ShortText
    """The audience that a caller's token must have."""


_BLOCKS = {
    "Static": "static",
    "OAuth": "oauth",
    "ClientCredentials": "clientCredentials",
    "TokenExchange": "tokenExchange",
    "JwtPassthrough": "jwtPassthrough",
}


class Auth(Model):
    """The type, and exactly the block that it names."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *(
                (f"(self.type == '{kind}') == has(self.{block})", f"{block} goes with type {kind}, and only with it")
                for kind, block in _BLOCKS.items()
            )
        )
    )
    type: Literal["None", "Static", "OAuth", "ClientCredentials", "TokenExchange", "JwtPassthrough"]
    static: StaticAuth | None = None
    oauth: OAuthAuth | None = None
    client_credentials: ClientCredentialsAuth | None = None
    token_exchange: TokenExchangeAuth | None = None
    jwt_passthrough: JwtPassthroughAuth | None = None
