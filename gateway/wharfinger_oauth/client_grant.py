"""Client credentials (RFC 6749 §4.4): a program of the organization that calls as itself, `clients:<client id>`.

Only clients of the platform settings can: somebody answers for them. Like any user they are in the teams that name them. All tokens that a
client asks for in half a lifetime come from one grant, so that one which asks before each call makes no object each time.
"""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, UnauthorizedClientError
from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin

from wharfinger_crds.identity_provider import CLIENTS
from wharfinger_oauth.authorization_server import Core, Create, resource_of
from wharfinger_oauth.challenge import SCOPE
from wharfinger_oauth.grant_record import GrantRecord, grant_name
from wharfinger_oauth.issue import issued
from wharfinger_oauth.subject import Subject


class ClientGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """No refresh token: whoever has the credentials asks again."""

    GRANT_TYPE = "client_credentials"
    server: Core

    def validate_token_request(self) -> None:
        """Raise where the client is not one of the settings that proved itself."""
        self.request.client = self.server.authenticate_client(self.request, [])
        client = self.request.client.client
        if client.source != "Settings" or not client.confidential:
            raise UnauthorizedClientError("only confidential clients of the platform settings may use client_credentials")

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Return an access token of a new grant."""
        known, client = self.server.known, self.request.client.client
        now, resource = int(known.now), resource_of(known.platform, self.request.form)
        subject = Subject(f"{CLIENTS}:{client.id}", CLIENTS, known.platform.public_url, client.id, now)
        if not known.platform.sees(subject, resource.id):
            raise InvalidGrantError(f"{subject.user} may not use the gateway: no team that may has it as a member")
        lifetime = known.platform.access_lifetime
        turn = now // max(1, lifetime // 2)
        record = GrantRecord(
            name=grant_name("client", client.id, resource.id, str(lifetime), str(turn)),
            subject=subject,
            client=client.digest,
            client_name=client.known_as,
            redirect_host="",
            gateway=resource.id,
            source="ClientCredentials",
            scopes=(SCOPE,),
            expires_at=now + 2 * lifetime,
            refreshed_at=now,
        )
        self.server.effects.append(Create(record, shared=True))
        return 200, issued(known, record, client, refresh=None), self.TOKEN_RESPONSE_HEADER


def register(server: Core) -> None:
    """Have a core understand client credentials."""
    server.register_grant(ClientGrant)
