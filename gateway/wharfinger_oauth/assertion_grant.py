"""ID-JAGs at the token endpoint: an assertion for a grant that was asked for nowhere but at the identity provider (RFC 7523 §2.1).

There is no refresh token: the identity provider is asked again, and can say no. An assertion counts once; its life is shorter than that of
what it gives, so that nobody needs it twice.
"""

from __future__ import annotations

from typing import Any, Final, cast

from authlib.oauth2.rfc6749 import InvalidGrantError, OAuth2Error, UnauthorizedClientError
from authlib.oauth2.rfc6749.errors import InvalidScopeError
from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin

from wharfinger_oauth.authorization_server import JWT_BEARER, Core, Create, InvalidTargetError
from wharfinger_oauth.grant_record import GrantRecord, grant_name
from wharfinger_oauth.identity_assertion import Assertion, RefusedAssertion
from wharfinger_oauth.issue import issued

_ERRORS: Final[dict[str, type[OAuth2Error]]] = {
    "unauthorized_client": UnauthorizedClientError,
    "invalid_target": InvalidTargetError,
    "invalid_scope": InvalidScopeError,
}


class AssertionGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """The assertion was read before; here it is decided what it gives."""

    GRANT_TYPE = JWT_BEARER
    server: Core

    def validate_token_request(self) -> None:
        """Raise where the client or the assertion does not count, or the person may not use the gateway."""
        self.request.client = self.server.authenticate_client(self.request, [])
        assertion = self.server.known.assertion
        if assertion is None:
            raise InvalidGrantError("assertion is missing")
        if isinstance(assertion, RefusedAssertion):
            raise _ERRORS.get(assertion.error, InvalidGrantError)(assertion.description)
        if not self.server.known.platform.sees(assertion.subject, assertion.resource):
            raise InvalidGrantError("the user may not use the gateway")

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Return an access token of a new grant."""
        known, client = self.server.known, self.request.client.client
        assertion = cast(Assertion, known.assertion)
        record = GrantRecord(
            name=grant_name("jag", assertion.issuer, assertion.jti),
            subject=assertion.subject,
            client=client.digest,
            client_name=client.known_as,
            redirect_host="",
            gateway=assertion.resource,
            source="IDJAG",
            scopes=tuple(sorted(assertion.scopes)),
            # Kept at least as long as the assertion could be shown again.
            expires_at=max(int(known.now) + known.platform.access_lifetime, assertion.expires_at + 120),
            refreshed_at=int(known.now),
        )
        self.server.effects.append(Create(record))
        return 200, issued(known, record, client, refresh=None), self.TOKEN_RESPONSE_HEADER


def register(server: Core) -> None:
    """Have a core understand assertions."""
    server.register_grant(AssertionGrant)
