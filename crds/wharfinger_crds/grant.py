"""McpGrant: one login of one client; deleting it revokes.

It is named after the credential that it was made from, which can be used once: a second use finds the object there. What it says is
sealed, so that who may edit grants can take away, and give nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from wharfinger_crds.base import IMMUTABLE, Label, Model, Object, ShortText, Status, UserName

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
_GroupName = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class GrantClient(Model):
    """The OAuth client."""

    name: ShortText
    """As it calls itself."""
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$", max_length=32)]
    """Of its client id: the first half of SHA-256."""
    redirect_host: Annotated[str, StringConstraints(max_length=253)] = ""
    """Where it got its code: a host, or an app's scheme."""


class GrantSubject(Model):
    """Who logged in, as his identity provider described him then."""

    identity_provider: Label
    issuer: Annotated[str, StringConstraints(max_length=1024)]
    subject: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    """The `sub` claim."""
    email: Annotated[str, StringConstraints(max_length=320)] | None = None
    groups: Annotated[tuple[_GroupName, ...], Field(max_length=200, json_schema_extra={"x-kubernetes-list-type": "set"})] = ()
    authenticated_at: Moment
    login: Annotated[str, StringConstraints(max_length=63)] | None = None
    """The Secret with which the provider is asked again at each refresh; absent where it gave nothing to ask with."""


class GrantSpec(Model):
    """Who gave which client access to what."""

    user: Annotated[UserName, Field(json_schema_extra=IMMUTABLE)]
    client: Annotated[GrantClient, Field(json_schema_extra=IMMUTABLE)]
    gateway: Annotated[ShortText, Field(json_schema_extra=IMMUTABLE)]
    """`<namespace>.<name>` of the gateway."""
    source: Annotated[Literal["OAuth", "IDJAG", "ClientCredentials"], Field(json_schema_extra=IMMUTABLE)] = "OAuth"
    """A login in a browser, an identity assertion of the user's provider, or a client on its own."""
    scopes: Annotated[tuple[ShortText, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"} | IMMUTABLE)] = ()
    subject: Annotated[GrantSubject, Field(json_schema_extra=IMMUTABLE)]
    expires_at: Annotated[Moment, Field(json_schema_extra={"format": "date-time"} | IMMUTABLE)]
    seal: Annotated[str, StringConstraints(max_length=128), Field(json_schema_extra=IMMUTABLE)]
    """Proves that the platform wrote all of this but `revoked`; worth nothing to who reads it."""
    revoked: bool = False
    """It counts no more; kept until nothing can be redeemed for it a second time."""


class GrantStatus(Status):
    """How the grant was used."""

    refreshes: int = Field(default=0, ge=0)
    """How many refresh tokens were given out after the first."""
    groups: Annotated[tuple[_GroupName, ...], Field(max_length=200, json_schema_extra={"x-kubernetes-list-type": "set"})] | None = None
    """As of the last refresh."""
    groups_seal: Annotated[str, StringConstraints(max_length=128)] | None = None
    """Proves that the platform wrote them."""
    refreshed_at: Moment | None = None
    last_used: Moment | None = None
    """About when it was last called with; written seldom."""


class Grant(Object):
    """One login of one client; honoured in the system namespace only."""

    spec: GrantSpec
    status: GrantStatus = GrantStatus()
