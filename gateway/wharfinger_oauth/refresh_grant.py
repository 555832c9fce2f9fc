"""Refresh tokens (RFC 6749 §6, RFC 9700 §4.14): each is used once, and using an old one ends the whole grant.

A lost answer is no theft: for half a minute the token before the present one gets the present one again. That one can be derived, so the
same comes out whichever replica is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidGrantError
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant

from wharfinger_oauth.authorization_server import METHODS, Core, KnownClient, Refresh, resource_of
from wharfinger_oauth.grant_record import GrantRecord, is_genuine, read_refresh_token
from wharfinger_oauth.issue import issued
from wharfinger_oauth.subject import Subject

GRACE: Final = 30
"""Seconds for which the token before the present one is taken for a lost answer."""


@dataclass(frozen=True, slots=True)
class _Presented:
    """A refresh token that was presented, as Authlib asks about it."""

    record: GrantRecord
    number: int

    def check_client(self, client: KnownClient) -> bool:
        return client.client.digest == self.record.client

    def get_scope(self) -> str:
        return " ".join(self.record.scopes)


class RefreshGrant(RefreshTokenGrant):  # type: ignore[misc]
    """Tokens are derived from the record of the grant; the record counts them."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    server: Core

    def authenticate_refresh_token(self, refresh_token_text: str) -> _Presented | None:
        """Return the token, where its grant still counts."""
        known, read = self.server.known, read_refresh_token(refresh_token_text)
        record = known.grant
        if read is None or record is None or not record.counts(known.now):
            return None
        return _Presented(record, read[1]) if is_genuine(refresh_token_text, record, known.platform.root_key) else None

    def _validate_token_scope(self, token: _Presented) -> None:
        """Take any scope: there is one, and it is in every grant."""

    def authenticate_user(self, refresh_token: _Presented) -> Subject:
        """Return whose grant it is. Raise InvalidGrantError where the token is too old in some way, or he may not use the gateway any more."""
        known, record = self.server.known, refresh_token.record
        form = self.request.form
        if "resource" in form and resource_of(known.platform, form).id != record.gateway:
            raise InvalidGrantError("resource is another one than the grant is for")
        if known.now - record.refreshed_at > known.platform.refresh_idle:
            raise InvalidGrantError("the refresh token was not used for too long")
        if not self._is_fresh(refresh_token):
            self.server.ends = record.name
            raise InvalidGrantError("the refresh token was used before")
        if not known.platform.trusts(record.subject):
            raise InvalidGrantError("the identity provider counts no more")
        if not known.platform.sees(record.subject, record.gateway):
            raise InvalidGrantError("the user may not use the gateway any more")
        return record.subject

    def issue_token(self, user: Subject, refresh_token: _Presented) -> dict[str, Any]:
        """Return new tokens, or those that were given out a moment ago."""
        known, record = self.server.known, refresh_token.record
        if refresh_token.number == record.refreshes:
            self.server.effects.append(Refresh(record))
        return issued(known, record, self.request.client.client, refresh=refresh_token.number + 1)

    def revoke_old_credential(self, refresh_token: Any) -> None:
        """Do nothing: counting is what uses a token up."""

    def _is_fresh(self, token: _Presented) -> bool:
        record = token.record
        if token.number == record.refreshes:
            return True
        return token.number == record.refreshes - 1 and self.server.known.now - record.refreshed_at <= GRACE


def register(server: Core) -> None:
    """Have a core understand refresh tokens."""
    server.register_grant(RefreshGrant)
