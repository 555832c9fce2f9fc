"""Who is calling: the Authorization header to a Principal or a Refusal. Pure.

The reasons differ, the answer does not: every row is the same 401.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wharfinger_crds.token import is_token, token_hash
from wharfinger_gateway.principal import Principal
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.snapshot import StoredToken, Tokens


def identify(authorization: Sequence[str], tokens: Tokens, teams_of: Callable[[str], frozenset[str]], now: float) -> Principal | Refusal:
    """Return who sent these Authorization headers at `now`, in seconds since the epoch (RFC 6750 §2.1; never from query or body)."""
    text = bearer(authorization)
    if text is None:
        return Refusal(Reason.TOKEN_MISSING)
    if len(authorization) > 1 or not is_token(text):
        return Refusal(Reason.TOKEN_MALFORMED)
    stored = tokens.get(token_hash(text))
    if stored is None:
        return Refusal(Reason.TOKEN_UNKNOWN)
    if stored.disabled:
        return Refusal(Reason.TOKEN_DISABLED)
    if stored.expires_at is not None and stored.expires_at <= now:
        return Refusal(Reason.TOKEN_EXPIRED)
    return _principal(stored, teams_of)


def bearer(authorization: Sequence[str]) -> str | None:
    """Return the token of the first header; None where there is none, another scheme, or an empty one (Open WebUI without a key)."""
    scheme, _, text = (authorization[0] if authorization else "").partition(" ")
    return text.strip() or None if scheme.lower() == "bearer" else None


def _principal(stored: StoredToken, teams_of: Callable[[str], frozenset[str]]) -> Principal:
    credential = f"McpToken {stored.name}"
    if stored.kind == "user":
        return Principal("user", stored.subject, teams_of(stored.subject), credential, stored.gateways)
    teams = frozenset({stored.subject}) if stored.kind == "team" else frozenset[str]()
    return Principal(stored.kind, None, teams, credential, stored.gateways)
