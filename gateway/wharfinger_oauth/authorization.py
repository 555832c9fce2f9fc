"""What travels between the steps of a login: the client's request, and the code that it gets."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from wharfinger_oauth.access_token import SKEW
from wharfinger_oauth.subject import Subject

REQUEST_SECONDS: Final = 540
"""How long a person may take."""
CODE_SECONDS: Final = 60


class AuthorizationRequest(msgspec.Struct, frozen=True, array_like=True):
    """A valid authorization request (RFC 6749 §4.1.1); sealed, it is in the pages' forms."""

    client_id: str
    redirect_uri: str
    state: str | None
    scope: str
    gateway: str
    """Id of the gateway that it is for."""
    challenge: str
    """S256 (RFC 7636)."""
    browser: str
    """The browser that it began in."""
    issued_at: int

    def parameters(self, resource: str) -> dict[str, str]:
        """Return it as it came, with the URL of its gateway."""
        found = {
            "response_type": "code", "client_id": self.client_id, "redirect_uri": self.redirect_uri, "scope": self.scope,
            "resource": resource, "code_challenge": self.challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        return found if self.state is None else {**found, "state": self.state}


class AuthorizationCode(msgspec.Struct, frozen=True, array_like=True):
    """An authorization code (RFC 6749 §4.1.2), sealed: what was consented to. A grant named after its `id` can be made once."""

    id: str
    client: str
    """Digest of the client's id."""
    redirect: str
    """Digest of the redirect URI."""
    redirect_host: str
    gateway: str
    scopes: tuple[str, ...]
    subject: Subject
    challenge: str
    issued_at: int


def is_recent(issued_at: int, now: float, seconds: int) -> bool:
    """Tell whether something was sealed at most so many seconds ago, by whichever replica's clock."""
    return -SKEW <= now - issued_at <= seconds


def digest(text: str) -> str:
    """Return what stands for a text in a sealed value."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
