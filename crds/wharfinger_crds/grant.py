"""McpGrant: one login of one client; deleting it revokes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wharfinger_crds.base import IMMUTABLE, Model, Object, ShortText, Status, UserName, set_list


class GrantSpec(Model):
    """Who gave which client access to what."""

    user: Annotated[UserName, Field(json_schema_extra=IMMUTABLE)]
    client: ShortText
    """Identifier of the OAuth client."""
    client_name: ShortText | None = None
    gateway: ShortText
    """`<namespace>.<name>` of the gateway."""
    source: Literal["OAuth", "IDJAG"] = "OAuth"
    scopes: tuple[ShortText, ...] = set_list(32)
    expires_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class GrantStatus(Status):
    """What the operator knows about the grant."""


class Grant(Object):
    """One login of one client; honoured in the system namespace only."""

    spec: GrantSpec
    status: GrantStatus = GrantStatus()
