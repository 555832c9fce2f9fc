"""ID-JAGs at the token endpoint: an identity provider's word that a client may act for a person here (draft-ietf-oauth-identity-assertion-authz-grant).

Whoever calls must still see to it that an assertion counts once: by a record that is named after issuer and jti.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from wharfinger_crds.identity_provider import IdentityProvider
from wharfinger_oauth.claims import ClaimError, subject_of
from wharfinger_oauth.issuers import TrustedIssuer
from wharfinger_oauth.signed_token import LEEWAY, SignedToken, read, signature_fault, text_of
from wharfinger_oauth.subject import Subject
from wharfinger_oauth.unavailable import Unavailable

TYPE: Final = "oauth-id-jag+jwt"
LONGEST: Final = 300
"""Seconds from `iat` to `exp`, at most."""
MAX_JTI: Final = 1024
_NOT_UNDERSTOOD: Final = frozenset({"cnf", "authorization_details", "act"})


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway that assertions can be for."""

    id: str
    scopes: frozenset[str]
    """What it knows; an assertion cannot give more."""
    providers: frozenset[str]
    """Names of the identity providers that it lists with `idJag: true`."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an assertion is held against."""

    issuer: str
    """This authorization server's, which is the assertion's audience."""
    client_id: str
    """Of the client that authenticated."""
    confidential: bool
    """Whether it proved itself."""
    named_by: Callable[[str], Target | None]
    """The gateway that a resource indicator names (RFC 8707 §2)."""
    resource: str | None = None
    """What the token request asked for."""
    scopes: frozenset[str] | None = None
    """What the token request asked for; None: whatever the assertion gives."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion that holds."""

    subject: Subject
    jti: str
    """With the issuer, what names the record of its use."""
    issuer: str
    resource: str
    """Id of the gateway."""
    scopes: frozenset[str]
    """Granted: of the assertion, as asked for, that the gateway knows; never none."""
    expires_at: int
    """Seconds since the epoch; until LEEWAY past that the record of its use must be kept."""


@dataclass(frozen=True, slots=True)
class RefusedAssertion:
    """An error of the token endpoint (RFC 6749 §5.2, RFC 8707 §2)."""

    error: str
    """`invalid_grant`, `invalid_client`, `unauthorized_client`, `invalid_target` or `invalid_scope`."""
    description: str
    """In words; without anything that the caller did not send."""


async def read_assertion(
    text: str, issuers: Mapping[str, TrustedIssuer], expected: Expected, now: float
) -> Assertion | RefusedAssertion | Unavailable:
    """Return the assertion of a token request at `now`, in seconds since the epoch; `issuers` are the platform's."""
    token = read(text)
    if token is None or token.type != TYPE:
        return _refused(f"the assertion is no signed token of type {TYPE}")
    trusted = issuers.get(token.issuer or "")
    if trusted is None:
        return _refused("the assertion's issuer is not known here")
    if not expected.confidential and not trusted.provider.identity_assertions.allow_public_clients:
        return RefusedAssertion("unauthorized_client", "a client must authenticate to present assertions of this issuer")
    fault = await signature_fault(token, trusted)
    if isinstance(fault, Unavailable):
        return fault
    if fault is not None:
        return _refused("the assertion's signature does not count")
    return judged(token, trusted.provider, expected, now)


def judged(token: SignedToken, provider: IdentityProvider, expected: Expected, now: float) -> Assertion | RefusedAssertion:
    """Return what an assertion gives whose signature is good. Pure."""
    fault = next((message for check, message in _CHECKS if not check(token, provider, expected, now)), None)
    if fault is not None:
        return _refused(fault)
    target = _target(token, provider, expected)
    if target is None:
        return RefusedAssertion("invalid_target", "the assertion is for no gateway here that takes this issuer's")
    scopes = _scopes(token, expected, target)
    if isinstance(scopes, RefusedAssertion):
        return scopes
    subject = subject_of(provider, token.claims)
    if isinstance(subject, ClaimError):
        return _refused(subject.message)
    # All three were checked.
    return Assertion(subject, token.claims["jti"], provider.issuer, target.id, scopes, int(token.claims["exp"]))


Check = Callable[[SignedToken, IdentityProvider, Expected, float], bool]


def _is_for_us(token: SignedToken, _: IdentityProvider, expected: Expected, __: float) -> bool:
    return token.audiences == (expected.issuer,)


def _has_times(token: SignedToken, *_: object) -> bool:
    return None not in (token.moment("exp"), token.moment("iat")) and ("nbf" not in token.claims or token.moment("nbf") is not None)


def _is_not_over(token: SignedToken, _: IdentityProvider, __: Expected, now: float) -> bool:
    return (token.moment("exp") or 0) > now - LEEWAY


def _has_begun(token: SignedToken, _: IdentityProvider, __: Expected, now: float) -> bool:
    return max(token.moment("iat") or 0, token.moment("nbf") or 0) <= now + LEEWAY


def _is_short_lived(token: SignedToken, *_: object) -> bool:
    issued, expires = token.moment("iat") or 0, token.moment("exp") or 0
    return expires - issued <= LONGEST + LEEWAY


def _is_of_client(token: SignedToken, _: IdentityProvider, expected: Expected, __: float) -> bool:
    return token.claims.get("client_id") == expected.client_id


def _is_named(token: SignedToken, *_: object) -> bool:
    jti = text_of(token.claims.get("jti"))
    return jti is not None and len(jti) <= MAX_JTI


def _asks_nothing_unknown(token: SignedToken, *_: object) -> bool:
    return not _NOT_UNDERSTOOD & token.claims.keys()


def _is_of_tenant(token: SignedToken, provider: IdentityProvider, *_: object) -> bool:
    wanted = provider.identity_assertions.tenant
    return wanted is None or token.claims.get("tenant") == wanted


_CHECKS: Final[tuple[tuple[Check, str], ...]] = (
    (_is_for_us, "the assertion's audience is not this authorization server alone (aud)"),
    (_has_times, "the assertion does not say when it was made and ends (iat, exp)"),
    (_is_not_over, "the assertion has expired (exp)"),
    (_has_begun, "the assertion is from the future (iat, nbf)"),
    (_is_short_lived, f"the assertion lives longer than {LONGEST} s (iat, exp)"),
    (_is_named, "the assertion has no id (jti)"),
    (_is_of_client, "the assertion was made for another client (client_id)"),
    (_asks_nothing_unknown, "the assertion asks for what is not understood here (cnf, authorization_details, act)"),
    (_is_of_tenant, "the assertion is of another tenant (tenant)"),
)


def _target(token: SignedToken, provider: IdentityProvider, expected: Expected) -> Target | None:
    """Return the gateway that the assertion names, or, where it names none, the request; both naming one name the same."""
    named = token.claims.get("resource")
    if isinstance(named, list) and len(named) == 1:
        named = named[0]
    if named is None:
        named = expected.resource
    target = expected.named_by(named) if isinstance(named, str) else None
    if target is None or provider.name not in target.providers:
        return None
    return target if expected.resource is None or expected.named_by(expected.resource) == target else None


def _scopes(token: SignedToken, expected: Expected, target: Target) -> frozenset[str] | RefusedAssertion:
    """Return what is asked for, within the assertion, that the gateway knows; an assertion that names no scope leaves it to the gateway."""
    said = token.claims.get("scope")
    given = target.scopes if said is None else frozenset(str(said).split())
    asked = given if expected.scopes is None else expected.scopes
    if not asked <= given:
        return RefusedAssertion("invalid_scope", "the assertion does not give what is asked for")
    return asked & target.scopes or RefusedAssertion("invalid_scope", "the assertion gives no scope that the gateway knows")


def _refused(description: str) -> RefusedAssertion:
    return RefusedAssertion("invalid_grant", description)
