"""The record of a grant: what stands in an McpGrant, sealed, and read again. Pure.

Invariants: what a record says counts only under its own name and with its seal, so that whoever may write McpGrants can revoke and cannot
make himself somebody. A record is named after the credential that it was made from: there is one for each, ever.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from pydantic import ValidationError

from wharfinger_crds import names
from wharfinger_crds.base import misfits
from wharfinger_crds.derived_key import derived_key
from wharfinger_crds.grant import Grant, GrantClient, GrantSpec, GrantSubject
from wharfinger_crds.moment import moment_of, seconds_of
from wharfinger_oauth.subject import Subject

Source = Literal["OAuth", "IDJAG", "ClientCredentials"]


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """One grant, as far as it decides anything."""

    name: str
    subject: Subject
    client: str
    """The digest of the client's id."""
    client_name: str
    redirect_host: str
    gateway: str
    """Its id."""
    source: Source
    scopes: tuple[str, ...]
    expires_at: int
    """Seconds since the epoch."""
    revoked: bool = False
    refreshes: int = 0
    refreshed_at: int = 0
    """Seconds since the epoch; of the first token the login's."""

    def counts(self, now: float) -> bool:
        """Tell whether tokens of it count."""
        return not self.revoked and now < self.expires_at


class NoGrantError(ValueError):
    """The object is no grant of this platform; the message says why, without its values."""


def grant_name(sort: str, *unique: str) -> str:
    """Return the name of the record of a credential: `sort` and what makes it unique."""
    return f"{sort}-{hashlib.sha256(chr(0).join((sort, *unique)).encode()).hexdigest()[:40]}"


def manifest(record: GrantRecord, namespace: str, root_key: bytes) -> dict[str, Any]:
    """Return the McpGrant of a record, without status."""
    spec = GrantSpec(
        user=record.subject.user,
        client=GrantClient(name=record.client_name, digest=record.client, redirect_host=record.redirect_host),
        gateway=record.gateway,
        source=record.source,
        scopes=record.scopes,
        subject=GrantSubject(
            identity_provider=record.subject.identity_provider,
            issuer=record.subject.issuer,
            subject=record.subject.subject,
            email=record.subject.email,
            groups=record.subject.groups,
            authenticated_at=moment_of(record.subject.authenticated_at),
            login=record.subject.login or None,
        ),
        expires_at=moment_of(record.expires_at),
        seal="",
    )
    sealed = spec.model_copy(update={"seal": _seal(record.name, spec, root_key)})
    metadata = {"name": record.name, "namespace": namespace, "labels": {names.MANAGED_BY: names.MANAGER}}
    return {"metadata": metadata, "spec": sealed.manifest()}


def read_grant(found: Mapping[str, Any], root_key: bytes) -> GrantRecord:
    """Return the record in an McpGrant.

    Raises NoGrantError where it fits its schema not, or its seal is not ours.
    """
    try:
        grant = Grant.parse({part: found[part] for part in ("metadata", "spec", "status") if part in found})
    except ValidationError as error:
        raise NoGrantError(f"does not fit its schema at {misfits(error)}") from None
    return record_of(grant, root_key)


def record_of(grant: Grant, root_key: bytes) -> GrantRecord:
    """Return the record in an McpGrant that fits its schema. Raises NoGrantError."""
    spec, status, name = grant.spec, grant.status, grant.metadata.name
    if not hmac.compare_digest(spec.seal, _seal(name, spec, root_key)):
        raise NoGrantError("its seal is not this platform's: somebody else made or changed it, or the root key was replaced")
    about = spec.subject
    try:
        authenticated, expires = seconds_of(about.authenticated_at), seconds_of(spec.expires_at)
        refreshed = seconds_of(status.refreshed_at) if status.refreshed_at else authenticated
    except ValueError:
        raise NoGrantError("one of its times is no RFC 3339 time") from None
    groups = about.groups
    if status.groups is not None and hmac.compare_digest(status.groups_seal or "", _groups_seal(name, status.groups, root_key)):
        groups = status.groups
    login = about.login or ""
    subject = Subject(spec.user, about.identity_provider, about.issuer, about.subject, authenticated, about.email, groups, login)
    return GrantRecord(
        name=name,
        subject=subject,
        client=spec.client.digest,
        client_name=spec.client.name,
        redirect_host=spec.client.redirect_host,
        gateway=spec.gateway,
        source=spec.source,
        scopes=spec.scopes,
        expires_at=expires,
        revoked=spec.revoked,
        refreshes=status.refreshes,
        refreshed_at=refreshed,
    )


def refresh_token(record: GrantRecord, number: int, root_key: bytes) -> str:
    """Return the refresh token of that number; always the same, so that a lost answer can be given again."""
    body = f"{record.name}.{number}"
    return f"rt1.{body}.{_mac('refresh', body, record.client, root_key)}"


def read_refresh_token(text: str) -> tuple[str, int] | None:
    """Return name of the grant and number of what looks like a refresh token; `is_genuine` tells whether it is one."""
    parts = text.split(".")
    if len(parts) != 4 or parts[0] != "rt1" or len(text) > 256 or not text.isascii() or not parts[2].isdigit() or len(parts[2]) > 9:
        return None
    return parts[1], int(parts[2])


def is_genuine(text: str, record: GrantRecord, root_key: bytes) -> bool:
    """Tell whether a text is a refresh token of a grant, the present one or another."""
    read = read_refresh_token(text)
    return read is not None and hmac.compare_digest(refresh_token(record, read[1], root_key), text)


def status_after(record: GrantRecord, now: float, root_key: bytes) -> dict[str, Any]:
    """Return the status after a refresh, at which the provider may have named other groups than at the login."""
    groups = list(record.subject.groups)
    counted = {"refreshes": record.refreshes + 1, "refreshedAt": moment_of(now)}
    return counted | {"groups": groups, "groupsSeal": _groups_seal(record.name, record.subject.groups, root_key)}


def _groups_seal(name: str, groups: Sequence[str], root_key: bytes) -> str:
    return _mac("groups", name, msgspec.json.encode(list(groups)).decode(), root_key)


def _seal(name: str, spec: GrantSpec, root_key: bytes) -> str:
    # Without defaults, so that a field that a later version adds changes no seal.
    fixed = {key: value for key, value in spec.manifest().items() if key not in {"seal", "revoked"}}
    return _mac("grant", name, msgspec.json.encode(fixed, order="deterministic").decode(), root_key)


def _mac(purpose: str, first: str, second: str, root_key: bytes) -> str:
    key = derived_key(root_key, f"oauth {purpose} v1")
    return hmac.digest(key, f"{len(first)}:{first}{second}".encode(), hashlib.sha256).hex()[:48]
