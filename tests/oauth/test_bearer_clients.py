"""Access tokens of identity providers, by whom they were given to."""

import json
from typing import Any

import httpx
import pytest
from joserfc import jws

from hostile_identity_provider import HostileIdentityProvider
from identity_provider_process import AGENT, IdentityProviderProcess
from wharfinger_oauth.bearer_jwt import BadToken, Verified, verify
from wharfinger_oauth.issuers import trusted_issuers

URL = "https://gateway.example/v1/mcp/team-a.tools"
NOW = 1_800_000_000
CLAIMS: dict[str, Any] = {"sub": "alice", "aud": URL, "iat": NOW - 10, "exp": NOW + 3600}


@pytest.mark.requirement("AUT-2")
async def test_a_real_provider_s_token_says_which_client_it_was_given_to(real: IdentityProviderProcess, http: httpx.AsyncClient) -> None:
    token = await real.access_token("alice", resource=URL)
    now = json.loads(jws.extract_compact(token.encode()).payload)["iat"]
    for client, expected in ((AGENT, Verified), ("wiki", BadToken)):
        named = trusted_issuers([real.provider(bearerTokens={"clients": [client]})], {}, http)
        assert isinstance(await verify(token, named, URL, now), expected)


@pytest.mark.requirement("AUT-2")
@pytest.mark.parametrize(
    ("says", "counts"),
    [
        ({"client_id": "agent"}, True),
        ({"client_id": None, "azp": "agent"}, True),
        ({"client_id": None, "cid": "desk"}, True),
        ({"client_id": None, "appid": "desk"}, True),
        ({"client_id": "agent", "azp": "desk"}, True),
        ({"client_id": "agent", "azp": "wiki"}, False),
        ({"client_id": "wiki", "azp": "agent"}, False),
        ({"client_id": "wiki"}, False),
        ({"client_id": "Agent"}, False),
        ({"client_id": ["agent"]}, False),
        ({"client_id": 7}, False),
        ({"client_id": ""}, False),
        ({"client_id": None}, False),
    ],
    ids=str,
)
async def test_where_the_settings_name_clients_the_tokens_of_others_do_not_count(
    says: dict[str, Any], counts: bool, hostile: HostileIdentityProvider, http: httpx.AsyncClient
) -> None:
    said = {name: value for name, value in {**CLAIMS, "iss": hostile.issuer, **says}.items() if value is not None}
    issuers = trusted_issuers([hostile.provider(bearerTokens={"clients": ["agent", "desk"]})], {}, http)
    found = await verify(hostile.token(said), issuers, URL, NOW)
    assert isinstance(found, Verified) if counts else found is BadToken.CLIENT
    anybody = trusted_issuers([hostile.provider()], {}, http)
    assert isinstance(await verify(hostile.token(said), anybody, URL, NOW), Verified)
