"""What an identity provider's token says about a person, read as Kubernetes' API server reads it. Pure.

Invariants: who is named is named by one claim, which the settings choose; an e-mail address counts where the provider says that it verified
it; nothing in a name can be taken for something else in a list, a log or a header. A claim that is not what it should be is an error to
read, never an empty value: a person without groups would silently lose what is his.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wharfinger_crds.identity_provider import IdentityProvider
from wharfinger_oauth.subject import MAX_GROUPS, Subject

MAX_NAME: Final = 253
MAX_GROUP: Final = 256
"""Longer ones no settings can name."""


@dataclass(frozen=True, slots=True)
class ClaimError:
    """Why a token names nobody here."""

    claim: str
    message: str
    """What is wrong and what to do; it holds no value of a claim."""


def needed_claims(provider: IdentityProvider) -> frozenset[str]:
    """Return the claims without which nothing can be said about a person."""
    names = {provider.username_claim, *provider.required_claims}
    if provider.groups_claim:
        names.add(provider.groups_claim)
    if provider.username_claim == "email":
        names.add("email_verified")
    return frozenset(names)


def subject_of(provider: IdentityProvider, claims: Mapping[str, Any]) -> Subject | ClaimError:
    """Return whom verified claims are about."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_NAME or not subject.isprintable():
        return ClaimError("sub", f"the claim sub is not 1 to {MAX_NAME} printable characters")
    for name, value in sorted(provider.required_claims.items()):
        if claims.get(name) != value:
            return ClaimError(name, f"the claim {name} is not what the settings require")
    user = _user(provider, claims)
    if isinstance(user, ClaimError):
        return user
    groups = _groups(provider, claims)
    if isinstance(groups, ClaimError):
        return groups
    return Subject(
        user=f"{provider.name}:{user}",
        identity_provider=provider.name,
        issuer=provider.issuer,
        subject=subject,
        authenticated_at=_authenticated_at(claims),
        email=_email(claims),
        groups=groups,
    )


def _user(provider: IdentityProvider, claims: Mapping[str, Any]) -> str | ClaimError:
    name = provider.username_claim
    value = claims.get(name)
    if value is None:
        return ClaimError(name, f"the claim {name}, which names people, is missing: the identity provider must send it")
    if not isinstance(value, str) or not _is_name(value):
        return ClaimError(name, f"the claim {name} is no name: 1 to {MAX_NAME} printable characters without spaces and commas")
    if name == "email" and claims.get("email_verified") is not True:
        return ClaimError(name, "the identity provider does not say that the e-mail address is verified (email_verified)")
    return value


def _groups(provider: IdentityProvider, claims: Mapping[str, Any]) -> tuple[str, ...] | ClaimError:
    name = provider.groups_claim
    if name is None:
        return ()
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, dict) and name in elsewhere:
        return ClaimError(
            name, f"the identity provider left out {name}, because they are too many: let it send application roles, or fewer"
        )
    value = claims.get(name, [])
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        return ClaimError(name, f"the claim {name} is neither a string nor a list of strings")
    groups = {f"{provider.groups_prefix}{one}" for one in listed if one.isprintable() and one}
    if len(groups) > MAX_GROUPS:
        return ClaimError(name, f"the claim {name} has more than {MAX_GROUPS} groups: let the identity provider send those that count here")
    return tuple(sorted(one for one in groups if len(one) <= MAX_GROUP))


def _email(claims: Mapping[str, Any]) -> str | None:
    value = claims.get("email")
    return value if isinstance(value, str) and _is_name(value) and claims.get("email_verified") is True else None


def _authenticated_at(claims: Mapping[str, Any]) -> int:
    for name in ("auth_time", "iat"):
        value = claims.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 2**53:
            return int(value)
    return 0


def _is_name(value: str) -> bool:
    # isprintable knows control characters, line separators, and what turns the direction of text; of spaces it lets one pass.
    return 0 < len(value) <= MAX_NAME and value.isprintable() and " " not in value and "," not in value
