"""The answer with tokens (RFC 6749 §5.1)."""

from __future__ import annotations

from typing import Any

from wharfinger_oauth.access_token import AccessToken
from wharfinger_oauth.authorization_server import Known
from wharfinger_oauth.client import Client
from wharfinger_oauth.grant_record import GrantRecord, refresh_token


def issued(known: Known, record: GrantRecord, client: Client, *, refresh: int | None) -> dict[str, Any]:
    """Return an access token of a grant, and the refresh token of that number."""
    platform, now = known.platform, int(known.now)
    expires = min(now + platform.access_lifetime, record.expires_at)
    token = AccessToken(
        iss=platform.public_url,
        aud=platform.url_of(record.gateway),
        sub=record.subject.user,
        client_id=client.id,
        gid=record.name,
        iat=now,
        exp=expires,
        scope=" ".join(record.scopes),
    )
    answer = {"access_token": platform.keys.sign(token), "token_type": "Bearer", "expires_in": expires - now, "scope": token.scope}
    return answer if refresh is None else {**answer, "refresh_token": refresh_token(record, refresh, platform.root_key)}
