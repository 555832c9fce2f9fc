"""ID tokens and userinfo: who counts as whom."""

import json
from typing import Any

import httpx
import pytest

from hostile_identity_provider import USERINFO, HostileIdentityProvider
from provider_login import NONCE, failure, finish, grant
from wharfinger_oauth.identity_provider import FailureReason
from wharfinger_oauth.subject import Subject


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another login"},
        {"nonce": None},
        {"nonce": [NONCE]},
        {"aud": "another-client"},
        {"aud": ["wharfinger", "another-client"]},
        {"aud": ["wharfinger", "another-client"], "azp": "another-client"},
        {"azp": "another-client"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"exp": None},
        {"exp": "9999999999"},
        {"iat": 2**40},
        {"iat": None},
    ],
    ids=json.dumps,
)
async def test_an_id_token_that_is_not_for_this_login_is_nobody(
    claims: dict[str, Any], hostile: HostileIdentityProvider, http: httpx.AsyncClient
) -> None:
    grant(hostile, claims)

    assert (await failure(hostile, http)).reason is FailureReason.BAD_TOKEN


async def test_an_id_token_for_several_counts_where_it_was_given_to_this_client(
    hostile: HostileIdentityProvider, http: httpx.AsyncClient
) -> None:
    grant(hostile, {"aud": ["wharfinger", "another-client"], "azp": "wharfinger"})

    assert isinstance(await finish(hostile, http), Subject)


async def test_an_id_token_that_is_not_signed_by_the_provider_is_nobody(hostile: HostileIdentityProvider, http: httpx.AsyncClient) -> None:
    headers: list[dict[str, Any]] = [
        {"alg": "none", "sign": lambda _: b""},
        {"sign": lambda _: b"AAAA"},
        {"kid": "unknown"},
        {"alg": "HS256"},
    ]
    for header in headers:
        grant(hostile, **header)
        assert (await failure(hostile, http)).reason is FailureReason.BAD_TOKEN
    for text in (None, 7, "", "a.b.c"):
        hostile.tokens["id_token"] = text
        assert (await failure(hostile, http)).reason is FailureReason.BAD_TOKEN


async def test_userinfo_is_asked_only_where_a_claim_is_missing_and_speaks_of_the_same_person(
    hostile: HostileIdentityProvider, http: httpx.AsyncClient
) -> None:
    grant(hostile, {"groups": ["a"]})
    hostile.userinfo.update(sub="alice", groups=["root"])
    found = await finish(hostile, http, groupsClaim="groups")
    assert isinstance(found, Subject)
    assert found.groups == ("a",)
    assert hostile.asked[USERINFO] == 0

    grant(hostile)
    hostile.userinfo.update(sub="mallory")
    assert (await failure(hostile, http, groupsClaim="groups")).reason is FailureReason.BAD_TOKEN
    assert hostile.authorizations[-1] == "Bearer planted-token"

    hostile.userinfo.update(sub="alice")
    found = await finish(hostile, http, groupsClaim="groups")
    assert isinstance(found, Subject)
    assert found.groups == ("root",)


async def test_what_the_id_token_says_is_not_overridden_by_userinfo(hostile: HostileIdentityProvider, http: httpx.AsyncClient) -> None:
    grant(hostile, {"preferred_username": "alice"})
    hostile.userinfo.update(sub="alice", preferred_username="root", groups=["a"])

    found = await finish(hostile, http, usernameClaim="preferred_username", groupsClaim="groups")

    assert isinstance(found, Subject)
    assert found.user == "okta:alice"


@pytest.mark.parametrize("token", ["with space", "a\r\nX-Injected: 1", "", "ä"])
async def test_an_access_token_that_cannot_stand_in_a_header_is_not_sent(
    token: str, hostile: HostileIdentityProvider, http: httpx.AsyncClient
) -> None:
    grant(hostile)
    hostile.tokens["access_token"] = token

    assert (await failure(hostile, http, groupsClaim="groups")).reason is FailureReason.BAD_TOKEN
    assert hostile.asked[USERINFO] == 0
