"""Who is calling: the Authorization header to a Principal or a Refusal. Pure.

The reasons differ, the answer does not: every row is the same 401. One of them, TOKEN_UNVERIFIED, says that nothing is known of a token that
somebody else could tell about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wharfinger_crds.token import is_token, token_hash
from wharfinger_gateway.identity import Identity
from wharfinger_gateway.known_bearers import KnownBearers
from wharfinger_gateway.principal import Principal
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.snapshot import Snapshot, StoredToken, Tokens

if TYPE_CHECKING:
    from wharfinger_oauth.access_token import AccessToken
    from wharfinger_oauth.grant_record import GrantRecord


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that count now."""

    tokens: Tokens
    bearers: KnownBearers


def identify(authorization: Sequence[str], gateway: str, credentials: Credentials, snapshot: Snapshot, now: float) -> Principal | Refusal:
    """Return who sent these Authorization headers to a gateway, by its id, at `now`, in seconds since the epoch.

    RFC 6750 §2.1; never from query or body.
    """
    text = bearer(authorization)
    if text is None:
        return Refusal(Reason.TOKEN_MISSING)
    if len(authorization) > 1:
        return Refusal(Reason.TOKEN_MALFORMED)
    if is_token(text):
        return _by_token(credentials.tokens.get(token_hash(text)), snapshot, now)
    if text.count(".") != 2 or not text.isascii():
        return Refusal(Reason.TOKEN_MALFORMED)
    bearers = credentials.bearers
    token = bearers.own(text)
    if token is not None:
        return _by_access_token(token, bearers.grant(token.gid), gateway, snapshot, now)
    known = bearers.other(text, gateway, now)
    return _by_identity(known, gateway, snapshot) if known is not None else Refusal(Reason.TOKEN_UNVERIFIED)


def bearer(authorization: Sequence[str]) -> str | None:
    """Return the token of the first header; None where there is none, another scheme, or an empty one (Open WebUI without a key)."""
    scheme, _, text = (authorization[0] if authorization else "").partition(" ")
    return text.strip() or None if scheme.lower() == "bearer" else None


def _by_token(stored: StoredToken | None, snapshot: Snapshot, now: float) -> Principal | Refusal:
    if stored is None:
        return Refusal(Reason.TOKEN_UNKNOWN)
    if stored.disabled:
        return Refusal(Reason.TOKEN_DISABLED)
    if stored.expires_at is not None and stored.expires_at <= now:
        return Refusal(Reason.TOKEN_EXPIRED)
    credential = f"McpToken {stored.name}"
    until = stored.expires_at if stored.expires_at is not None else math.inf
    if stored.kind == "user":
        return Principal("user", stored.subject, snapshot.teams_of(stored.subject), credential, stored.gateways, until=until)
    teams = frozenset({stored.subject}) if stored.kind == "team" else frozenset[str]()
    return Principal(stored.kind, None, teams, credential, stored.gateways, until=until)


def _by_access_token(token: AccessToken, grant: GrantRecord | None, gateway: str, snapshot: Snapshot, now: float) -> Principal | Refusal:
    if token.exp <= now:
        return Refusal(Reason.TOKEN_EXPIRED)
    if grant is None:
        return Refusal(Reason.TOKEN_UNVERIFIED)
    if not grant.counts(now):
        return Refusal(Reason.TOKEN_REVOKED)
    if token.aud != snapshot.url_of(grant.gateway) or token.sub != grant.subject.user:
        return Refusal(Reason.TOKEN_MALFORMED)
    if grant.gateway != gateway:
        # Its audience is another resource: not one that is hidden, but no token for this one, whether there is one or not (RFC 9068 §4).
        return Refusal(Reason.TOKEN_MALFORMED)
    subject = grant.subject
    teams = snapshot.teams_of(subject.user, subject.identity_provider, subject.groups)
    return Principal(
        "user",
        subject.user,
        teams,
        f"McpGrant {grant.name}",
        frozenset({grant.gateway}),
        "OAuth",
        subject.identity_provider,
        client=grant.client_name,
        until=min(token.exp, grant.expires_at),
    )


def _by_identity(known: Identity, gateway: str, snapshot: Snapshot) -> Principal:
    only = frozenset({gateway})
    if known.service_account is not None:
        account = "/".join(known.service_account)
        teams = snapshot.account_teams.get(known.service_account, frozenset())
        credential = f"ServiceAccount {account}"
        return Principal("team", None, teams, credential, only, "ServiceAccount", account=account, until=known.believed_until)
    teams = snapshot.teams_of(known.user or "", known.identity_provider, known.groups)
    credential = f"token of {known.identity_provider}"
    provider, until = known.identity_provider, known.believed_until
    return Principal("user", known.user, teams, credential, only, "IdentityProvider", provider, until=until)
