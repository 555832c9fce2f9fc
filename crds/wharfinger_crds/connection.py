"""The connection: what the operator tells the gateway about one installation, in a Secret of the system namespace.

The contract between two programs that are upgraded one after the other, so it has a version of its own: a reader refuses
what is newer than it knows, and fields are only added. It holds credentials; it is never printed.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, ValidationError

from wharfinger_crds.base import Model, misfits
from wharfinger_crds.egress_rules import EgressRules

CONNECTION_VERSION: Final = 1


class ConnectionHeader(Model):
    """A header for the server, rendered."""

    name: str
    value: str = Field(repr=False)


class Connection(Model):
    """How to reach the server of one installation."""

    version: int = CONNECTION_VERSION
    namespace: str
    """Namespace of the installation."""
    name: str
    uid: str
    """Guards against a deleted installation's Secret being used for a new one of the same name."""
    entry: str
    environment: str
    url: str
    transport: Literal["Auto", "StreamableHTTP", "SSE"] = "StreamableHTTP"
    headers: tuple[ConnectionHeader, ...] = Field(default=(), repr=False)
    """Every header that the gateway adds, the credential among them."""
    client_headers: bool = False
    """Whether headers of clients, as far as a gateway lets them through, mean anything to the server: one behind the stdio bridge gets none.
    An operator older than the field does not say, and then there are none."""
    egress: EgressRules | None = Field(default=None, repr=False)
    """What may be connected to for a remote server: the rules of its environment. None for a server of ours, which has a Service and needs no
    rule; a remote server without is from an operator older than the field, and then nothing may be connected to."""
    tools_hash: str | None = None
    """`sha256:…` of the tool definitions; their ConfigMap is `names.tools_name(tools_hash)`."""

    def text(self) -> str:
        """Return the document for the Secret."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


class MalformedConnectionError(ValueError):
    """The document cannot be used; the message names no value."""


def read_connection(text: str | bytes) -> Connection:
    """Return the connection of a document.

    Raises MalformedConnectionError where it is malformed or of a newer version; the message holds no value of it.
    """
    try:
        connection = Connection.model_validate_json(text)
    except ValidationError as error:
        raise MalformedConnectionError(f"malformed connection: {misfits(error)}") from None
    if connection.version > CONNECTION_VERSION:
        raise MalformedConnectionError(
            f"the connection has version {connection.version}, this program knows {CONNECTION_VERSION}: upgrade the gateway"
        )
    return connection
