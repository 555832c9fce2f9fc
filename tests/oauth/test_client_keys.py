"""Clients of the settings that sign: with keys that stand there, or at a URL."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any

import httpx
import pytest

from document_host import DocumentHost
from hostile_identity_provider import KEYS, HostileIdentityProvider, always, public, rs256, rsa_key
from wharfinger_crds.oauth import OAuth
from wharfinger_oauth.client_assertion import ASSERTION_TYPE, Assertions
from wharfinger_oauth.client_keys import ClientKeys
from wharfinger_oauth.clients import Clients, Proofs
from wharfinger_oauth.documents import Documents
from wharfinger_oauth.request import Request
from wharfinger_oauth.unavailable import Unavailable

pytestmark = pytest.mark.requirement("AUT-1")

ISSUER = "https://mcp.example"
Is = Callable[..., Awaitable[bool]]
_numbers = count()


@pytest.fixture
async def clients(site: DocumentHost, http: httpx.AsyncClient, hostile: HostileIdentityProvider) -> AsyncIterator[Clients]:
    """Two clients with the same key: `inline` has it in the settings, `elsewhere` at a URL."""
    where = f"{hostile.issuer}{KEYS}"
    robot: dict[str, Any] = {"name": "Robot", "method": "private_key_jwt"}
    settings = OAuth.model_validate(
        {"clients": [{**robot, "id": "inline", "jwks": {"keys": [public(hostile.key)]}}, {**robot, "id": "elsewhere", "jwksUri": where}]}
    )
    keys = ClientKeys(http)
    keys.only({where})
    async with site.fetcher() as fetcher:
        yield Clients(settings, {}, b"k" * 32, Proofs(Documents(fetcher), Assertions([ISSUER]), keys))
    keys.close()


async def is_authenticated(clients: Clients, client_id: str, assertion: str) -> bool:
    form = {"client_id": client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    found = await clients.authenticated(Request("POST", "/oauth/token", form=form))
    if isinstance(found, Unavailable):
        pytest.fail(found.message)
    assert found is None or (found.id, found.confidential) == (client_id, True)
    return found is not None


def assertion(hostile: HostileIdentityProvider, client_id: str, **header: Any) -> str:
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": str(next(_numbers))}
    return hostile.token(claims, typ=None, **header)


@pytest.mark.parametrize("client_id", ["inline", "elsewhere"])
async def test_a_client_of_the_settings_proves_itself_with_its_key_and_with_nothing_else(
    clients: Clients, client_id: str, hostile: HostileIdentityProvider
) -> None:
    proof = assertion(hostile, client_id)
    assert await is_authenticated(clients, client_id, proof)
    assert not await is_authenticated(clients, client_id, proof)
    assert not await is_authenticated(clients, client_id, assertion(hostile, client_id, sign=rs256(rsa_key("stranger").private_key)))
    for form in ({"client_id": client_id}, {"client_id": client_id, "client_secret": "x"}):
        assert await clients.authenticated(Request("POST", "/oauth/token", form=form)) is None


async def test_keys_are_fetched_once_for_many_and_for_nobody_who_does_not_prove_himself(
    clients: Clients, hostile: HostileIdentityProvider
) -> None:
    assert await clients.find("elsewhere") is not None
    assert hostile.asked[KEYS] == 0
    for _ in range(5):
        assert await is_authenticated(clients, "elsewhere", assertion(hostile, "elsewhere"))
    assert hostile.asked[KEYS] == 1


@pytest.mark.parametrize("text", ['{"keys": []}', '{"keys": [7]}'])
async def test_a_key_set_without_a_key_proves_nothing(clients: Clients, hostile: HostileIdentityProvider, text: str) -> None:
    hostile.replies[KEYS] = always(text=text)
    assert not await is_authenticated(clients, "elsewhere", assertion(hostile, "elsewhere"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": {}}'])
async def test_without_keys_nobody_can_tell_who_it_is_and_the_proof_is_not_used_up(
    clients: Clients, hostile: HostileIdentityProvider, text: str
) -> None:
    request = Request(
        "POST", "/oauth/token", form={"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion(hostile, "elsewhere")}
    )
    hostile.replies[KEYS] = always(text=text)
    assert isinstance(await clients.authenticated(request), Unavailable)
    assert await is_authenticated(clients, "inline", assertion(hostile, "inline"))
    # Who proves itself in another way, and who is nobody, is told so.
    assert await clients.authenticated(Request("POST", "/oauth/token", form={"client_id": "elsewhere"})) is None
    del hostile.replies[KEYS]
    async with asyncio.timeout(20):
        while isinstance(found := await clients.authenticated(request), Unavailable):  # noqa: ASYNC110 - until it is asked for again
            await asyncio.sleep(0.05)
    assert found is not None
    assert found.id == "elsewhere"
