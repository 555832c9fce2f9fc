"""While keys that would prove something cannot be had: the answer is to come back, and nothing is used up."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

import authorization_scene
from authorization_scene import REDIRECT, Client, Scene
from hostile_identity_provider import KEYS, always, hostile_identity_provider
from wharfinger_oauth.client_assertion import ASSERTION_TYPE

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
Ask = Callable[[], Awaitable[httpx.Response]]


async def told_to_wait(ask: Ask) -> None:
    """Ask, and be told to come back."""
    answer = await ask()
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"] == "temporarily_unavailable"
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["Cache-Control"] == "no-store"


async def once_answered(ask: Ask) -> dict[str, Any]:
    """Ask the same until it is told."""
    async with asyncio.timeout(60):
        while (answer := await ask()).status_code == 503:  # noqa: ASYNC110 - the gateway asks again by itself
            await asyncio.sleep(0.2)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@contextlib.contextmanager
def silent(scene: Scene) -> Iterator[None]:
    """Let the identity provider answer nothing meanwhile."""
    scene.provider.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        scene.provider.process.send_signal(signal.SIGCONT)


@pytest.mark.requirement("AUT-1")
async def test_a_client_whose_keys_do_not_come_redeems_its_code_with_the_same_proof_when_they_do(scene: Scene) -> None:
    async with hostile_identity_provider() as keys, httpx.AsyncClient() as http:
        keys.replies[KEYS] = always(status=503)
        robot = {"id": "robot", "name": "Robot", "redirectUris": [REDIRECT], "method": "private_key_jwt", "jwksUri": f"{keys.issuer}{KEYS}"}
        await scene.platform.apply(scene.settings(oauth={"clients": [robot]}))
        client = Client(scene, "robot", http)
        async with asyncio.timeout(10):
            while (await http.get(client.request())).status_code != 303:  # noqa: ASYNC110 - the gateway hears of it by itself
                await asyncio.sleep(0.05)
        code, now = (await client.code())["code"], int(time.time())
        claims = {"iss": "robot", "sub": "robot", "aud": scene.url, "jti": "1", "iat": now, "exp": now + 300}
        proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": keys.token(claims, typ=None)}

        await told_to_wait(lambda: client.redeem(code, **proof))
        revocation = {"client_id": "robot", "token": "any", **proof}
        await told_to_wait(lambda: http.post(f"{scene.url}/oauth/revoke", data=revocation))
        assert not await scene.grants()
        # Whoever shows no proof is told so at once.
        assert (await client.redeem(code)).json()["error"] == "invalid_client"

        del keys.replies[KEYS]
        tokens = await once_answered(lambda: client.redeem(code, **proof))
        assert (await scene.call(tokens["access_token"])).status_code == 200
        assert (await client.redeem(code, **proof)).json()["error"] == "invalid_client"


@pytest.mark.requirement("AUT-3")
async def test_an_assertion_of_a_provider_that_does_not_answer_counts_once_it_does(scene: Scene) -> None:
    assistant = {"id": "assistant", "name": "Assistant", "secretRef": {"name": "okta-client", "key": "secret"}}
    await scene.platform.apply(scene.settings(oauth={"clients": [assistant]}))
    await scene.gateway("tools", oauth={"enabled": True}, identityProviders=[{"name": "okta", "jwks": True, "idJag": True}])
    secret = quote(scene.provider.client_secret, safe="")
    async with httpx.AsyncClient(auth=("assistant", secret), timeout=30) as http:
        async with asyncio.timeout(10):
            while "id-jag" not in (await http.get(f"{scene.url}/.well-known/oauth-authorization-server")).text:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
        assertion = await scene.provider.id_jag(audience=scene.url, resource=scene.resource, client_id="assistant")
        bearer = await scene.provider.access_token(resource=scene.resource)
        form = {"grant_type": JWT_BEARER, "assertion": assertion}

        with silent(scene):
            await told_to_wait(lambda: http.post(f"{scene.url}/oauth/token", data=form))
            refused = await scene.call(bearer)
            assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
            assert not await scene.grants()

        tokens = await once_answered(lambda: http.post(f"{scene.url}/oauth/token", data=form))
        assert (await scene.call(tokens["access_token"])).status_code == 200
        assert (await scene.call(bearer)).status_code == 200
        assert (await http.post(f"{scene.url}/oauth/token", data=form)).json()["error"] == "invalid_grant"


async def test_people_whose_provider_does_not_answer_get_a_page_that_says_so(scene: Scene) -> None:
    async with authorization_scene.client(scene) as client:
        client.http.timeout = httpx.Timeout(30)
        with silent(scene):
            asked = await client.http.get(client.request())
            page = await client.http.get(asked.headers["Location"])
        assert page.status_code == 503
        assert "Location" not in page.headers
        assert page.headers["Content-Type"].startswith("text/html")
