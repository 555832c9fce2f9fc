"""Authorization code: from the client's request to a code, from the code to a grant (RFC 6749 §4.1, RFC 7636, RFC 8707)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant

from wharfinger_oauth import redirect_uri
from wharfinger_oauth.authorization import CODE_SECONDS, AuthorizationCode, digest, is_recent
from wharfinger_oauth.authorization_server import METHODS, S256, Core, Create, KnownClient, resource_of
from wharfinger_oauth.grant_record import GrantRecord, grant_name
from wharfinger_oauth.issue import issued
from wharfinger_oauth.seal import Seal
from wharfinger_oauth.subject import Subject


@dataclass(frozen=True, slots=True)
class _Code:
    """A code that was presented, as Authlib asks about it."""

    code: AuthorizationCode
    redirect_uri: str
    """What the token request says, where that is what the code was given out for."""

    @property
    def code_challenge(self) -> str:
        return self.code.challenge

    @property
    def code_challenge_method(self) -> str:
        return "S256"

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return " ".join(self.code.scopes)


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    """Codes are sealed values that say everything; nothing is stored until one is redeemed."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    server: Core

    def generate_authorization_code(self) -> str:
        """Return the code for what was consented to."""
        known, data = self.server.known, self.request.payload.data
        resource = resource_of(known.platform, data)
        subject: Subject = self.request.user
        chosen = redirect_uri.parse(data["redirect_uri"])
        code = AuthorizationCode(
            id=secrets.token_urlsafe(16),
            client=self.request.client.client.digest,
            redirect=digest(chosen.text),
            redirect_host=chosen.shown,
            gateway=resource.id,
            scopes=tuple(self.request.scope.split()),
            subject=subject,
            challenge=data["code_challenge"],
            issued_at=int(known.now),
        )
        return _seal(self.server).seal(code)

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Do nothing: the code is all there is."""

    def query_authorization_code(self, code: str, client: KnownClient) -> _Code | None:
        """Return the code, where it is one of this client's and has not expired."""
        known, form = self.server.known, self.request.form
        found = _seal(self.server).open(code, AuthorizationCode)
        if found is None or found.client != client.client.digest or not is_recent(found.issued_at, known.now, CODE_SECONDS):
            return None
        if "resource" in form and resource_of(known.platform, form).id != found.gateway:
            raise InvalidGrantError("resource is another one than the code was given out for")
        given = form.get("redirect_uri", "")
        return _Code(found, given if digest(given) == found.redirect else "\0")

    def authenticate_user(self, authorization_code: _Code) -> Subject | None:
        """Return who consented, where he still may use the gateway."""
        code = authorization_code.code
        return code.subject if self.server.known.platform.sees(code.subject, code.gateway) else None

    def generate_token(self, **_: Any) -> dict[str, Any]:
        """Return the tokens of a new grant."""
        known, code = self.server.known, self.request.authorization_code.code
        client = self.request.client.client
        record = GrantRecord(
            name=grant_name("code", code.id),
            subject=code.subject,
            client=client.digest,
            client_name=client.known_as,
            redirect_host=code.redirect_host,
            gateway=code.gateway,
            source="OAuth",
            scopes=code.scopes,
            expires_at=int(known.now) + known.platform.refresh_lifetime,
            refreshed_at=int(known.now),
        )
        self.server.effects.append(Create(record))
        return issued(known, record, client, refresh=0)

    def delete_authorization_code(self, authorization_code: Any) -> None:
        """Do nothing: the record of the grant is what uses the code up."""


def _seal(server: Core) -> Seal:
    return Seal.of(server.known.platform.root_key, "code")


def register(server: Core) -> None:
    """Have a core understand codes."""
    server.register_grant(CodeGrant, [S256()])
