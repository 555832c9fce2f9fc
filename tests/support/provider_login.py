"""Logins at an identity provider that does what a test wants."""

import time
from typing import Any

import httpx

from hostile_identity_provider import HostileIdentityProvider
from identity_provider_process import CALLBACK
from wharfinger_crds.identity_provider import IdentityProvider
from wharfinger_oauth.identity_provider import Failure, LoggedIn, RelyingParty
from wharfinger_oauth.issuers import trusted_issuers
from wharfinger_oauth.subject import Subject

NONCE, VERIFIER, SECRET = "nonce-of-this-login", "v" * 43, b"planted-client-secret"


def party(settings: IdentityProvider, http: httpx.AsyncClient, secret: bytes | None = SECRET) -> RelyingParty:
    return RelyingParty(trusted_issuers([settings], {}, http)[settings.issuer], http, secret)


async def finish(hostile: HostileIdentityProvider, http: httpx.AsyncClient, iss: str | None = None, **settings: Any) -> Subject | Failure:
    return who(await party(hostile.provider(**settings), http).finish("planted-code", NONCE, VERIFIER, CALLBACK, iss))


def who(found: LoggedIn | Failure) -> Subject | Failure:
    """Return who logged in, without what the provider can be asked with again."""
    return found.subject if isinstance(found, LoggedIn) else found


async def failure(hostile: HostileIdentityProvider, http: httpx.AsyncClient, iss: str | None = None, **settings: Any) -> Failure:
    found = await finish(hostile, http, iss, **settings)
    assert isinstance(found, Failure), found
    for planted in ("planted-code", "planted-token", SECRET.decode(), VERIFIER):
        assert planted not in found.message
    return found


def grant(hostile: HostileIdentityProvider, claims: dict[str, Any] | None = None, **header: Any) -> None:
    """Let the token endpoint give an ID token with these claims in place of the right ones."""
    now = int(time.time())
    right = {"iss": hostile.issuer, "sub": "alice", "aud": "wharfinger", "iat": now, "exp": now + 300, "nonce": NONCE, **(claims or {})}
    body = {name: value for name, value in right.items() if value is not None}
    hostile.tokens.update(id_token=hostile.token(body, **{"typ": "JWT", **header}), access_token="planted-token", token_type="Bearer")
