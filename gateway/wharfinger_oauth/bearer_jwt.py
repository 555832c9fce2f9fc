"""Access tokens of identity providers as bearer tokens of a gateway (RFC 9068, RFC 8725).

Invariants: no request is made for a token of an issuer that is not configured; nothing in a token says where keys come from (`jku`, `x5u`,
`jwk`, `x5c` are ignored).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wharfinger_crds.duration import seconds
from wharfinger_crds.identity_provider import IdentityProvider
from wharfinger_oauth.claims import ClaimError, subject_of
from wharfinger_oauth.issuers import TrustedIssuer
from wharfinger_oauth.signed_token import LEEWAY, SignedToken, read, signature_fault
from wharfinger_oauth.subject import Subject
from wharfinger_oauth.unavailable import Unavailable

_ACCESS_TYPES: Final = frozenset({"at+jwt"})
_PARTIES: Final = ("client_id", "azp", "cid", "appid")
"""Which client a token was given to: in RFC 9068, OpenID Connect, and as Okta and Entra have it."""
_ALL_TYPES: Final = _ACCESS_TYPES | {"jwt", None}


@dataclass(frozen=True, slots=True)
class Verified:
    """Whose token it is."""

    subject: Subject
    expires_at: int
    """Seconds since the epoch: `exp`, or where `maximumAge` ends."""
    provider: str
    """Name of the identity provider."""


class BadToken(StrEnum):
    """Why a token does not count: for the log; callers see one answer for all."""

    MALFORMED = "Malformed"
    ISSUER = "Issuer"
    ALGORITHM = "Algorithm"
    SIGNATURE = "Signature"
    """Or no key of that id."""
    EXPIRED = "Expired"
    NOT_YET = "NotYet"
    TOO_OLD = "TooOld"
    AUDIENCE = "Audience"
    CLIENT = "Client"
    TYPE = "Type"
    BOUND = "Bound"
    """To a key that the bearer must prove to have (`cnf`), which nobody checks here."""
    CLAIMS = "Claims"


async def verify(text: str, issuers: Mapping[str, TrustedIssuer], gateway_url: str, now: float) -> Verified | BadToken | Unavailable:
    """Return whose token this is at `now`, in seconds since the epoch; `issuers` are those that the gateway lists with `jwks: true`."""
    token = read(text)
    if token is None:
        return BadToken.MALFORMED
    trusted = issuers.get(token.issuer or "")
    if trusted is None:
        return BadToken.ISSUER
    fault = await signature_fault(token, trusted)
    if isinstance(fault, Unavailable):
        return fault
    if fault is not None:
        return BadToken(fault)
    return _judged(token, trusted.provider, gateway_url, now)


def _judged(token: SignedToken, provider: IdentityProvider, gateway_url: str, now: float) -> Verified | BadToken:
    """Return what a token says whose signature is good."""
    rules = provider.bearer_tokens
    expires, issued, begins = (token.moment(name) for name in ("exp", "iat", "nbf"))
    if expires is None or issued is None or (begins is None and "nbf" in token.claims):
        return BadToken.MALFORMED
    ends = min(expires, issued + seconds(rules.maximum_age))
    bad = _bad_time(expires, max(issued, begins or 0), ends, now)
    if bad is not None:
        return bad
    if not set(token.audiences) & set(rules.audiences or (gateway_url,)):
        return BadToken.AUDIENCE
    if rules.clients and not _is_of(token, rules.clients):
        return BadToken.CLIENT
    if token.type not in (_ALL_TYPES if rules.allow_id_tokens else _ACCESS_TYPES):
        return BadToken.TYPE
    if "cnf" in token.claims:
        return BadToken.BOUND
    subject = subject_of(provider, token.claims)
    return BadToken.CLAIMS if isinstance(subject, ClaimError) else Verified(subject, int(ends), provider.name)


def _is_of(token: SignedToken, clients: Collection[str]) -> bool:
    """Tell whether a token was given to one of these clients, in whatever way it says so, and says nothing else."""
    named = [token.claims[claim] for claim in _PARTIES if claim in token.claims]
    return bool(named) and all(isinstance(one, str) and one in clients for one in named)


def _bad_time(expires: float, begins: float, ends: float, now: float) -> BadToken | None:
    if expires <= now - LEEWAY:
        return BadToken.EXPIRED
    if begins > now + LEEWAY:
        return BadToken.NOT_YET
    return BadToken.TOO_OLD if ends <= now - LEEWAY else None
