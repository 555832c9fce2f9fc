"""An OAuth client, however it made itself known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Method = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
"""How it authenticates at the token endpoint (RFC 7591 §2); exactly this one."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client whose redirect URIs are known to be harmless."""

    id: str
    name: str
    """As it calls itself: to be escaped, and no proof of anything unless `source` is Settings."""
    redirect_uris: tuple[str, ...]
    source: Literal["Settings", "Registration", "Document"]
    method: Method = "none"
    secret: str | None = field(default=None, repr=False)
    keys: Mapping[str, Any] | None = None
    """A JWK set (RFC 7517) for private_key_jwt."""
    host: str = ""
    """Who vouches for the name: the host of a metadata document."""

    @property
    def confidential(self) -> bool:
        """Whether it can prove itself."""
        return self.method != "none"

    @property
    def known_as(self) -> str:
        """Its name as far as a record holds one; never empty."""
        return self.name[:253] or self.digest

    @property
    def digest(self) -> str:
        """A digest of the id, to stand in other values in its place."""
        return hashlib.sha256(self.id.encode()).hexdigest()[:32]
