"""Tokens that others made: an identity provider's access tokens and ID-JAGs, and the cluster's own service accounts."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from authorization_scene import Scene
from wharfinger_cluster.connection import Login
from wharfinger_cluster.resource import SERVICE_ACCOUNT

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT = {"id": "assistant", "name": "Assistant", "secretRef": {"name": "okta-client", "key": "secret"}}


@pytest.fixture
async def trusting(scene: Scene) -> Scene:
    """The gateway takes the provider's tokens and assertions, and service accounts."""
    teams = [
        {
            "name": "engineering",
            "groups": [{"identityProvider": "okta", "group": "engineering"}],
            "serviceAccounts": [{"namespace": scene.platform.tenant, "name": "agent"}],
        },
        {"name": "sales"},
    ]
    await scene.platform.apply(scene.settings(teams=teams, oauth={"clients": [CLIENT]}))
    provider = [{"name": "okta", "jwks": True, "idJag": True}]
    await scene.gateway("tools", oauth={"enabled": True}, identityProviders=provider, serviceAccounts={"enabled": True})
    metadata = f"{scene.url}/.well-known/oauth-authorization-server"
    async with httpx.AsyncClient() as http, asyncio.timeout(10):
        while JWT_BEARER not in (await http.get(metadata)).json()["grant_types_supported"]:  # noqa: ASYNC110 - the gateway hears of it by itself
            await asyncio.sleep(0.05)
    return scene


async def assertion(scene: Scene, **changes: str) -> httpx.Response:
    """Present an ID-JAG at the token endpoint."""
    told = {"audience": scene.url, "resource": scene.resource, "client_id": "assistant"}
    base = changes.pop("base", scene.url)
    jag = changes.pop("assertion", "") or await scene.provider.id_jag(**{**told, **changes})
    form = {"grant_type": JWT_BEARER, "assertion": jag}
    async with httpx.AsyncClient() as http:
        return await http.post(f"{base}/oauth/token", data=form, auth=("assistant", quote(scene.provider.client_secret, safe="")))


@pytest.mark.requirement("AUT-2")
async def test_an_access_token_of_the_identity_provider_calls_a_tool_of_the_gateway_that_lists_it(trusting: Scene) -> None:
    token = await trusting.provider.access_token(resource=trusting.resource)
    assert (await trusting.call(token)).status_code == 200
    elsewhere = await trusting.provider.access_token(resource="https://other.example/mcp")
    assert (await trusting.call(elsewhere)).status_code == 401
    id_token = await trusting.provider.id_token()
    assert (await trusting.call(id_token)).status_code == 401


@pytest.mark.requirement("AUT-2", "AUT-5")
async def test_a_person_outside_of_the_team_is_refused_with_the_providers_token_as_with_any(trusting: Scene) -> None:
    token = await trusting.provider.access_token("bob", resource=trusting.resource)
    assert (await trusting.call(token)).status_code == 404


async def test_a_gateway_that_does_not_list_the_provider_takes_none_of_its_tokens(scene: Scene) -> None:
    token = await scene.provider.access_token(resource=scene.resource)
    assert (await scene.call(token)).status_code == 401


@pytest.mark.requirement("AUT-3", "AUT-6")
async def test_an_assertion_gives_an_access_token_once_and_its_grant_can_be_seen(trusting: Scene) -> None:
    jag = await trusting.provider.id_jag(audience=trusting.url, resource=trusting.resource, client_id="assistant")
    given = await assertion(trusting, assertion=jag)
    assert given.status_code == 200, given.text
    tokens = given.json()
    assert "refresh_token" not in tokens
    assert (await trusting.call(tokens["access_token"])).status_code == 200
    (grant,) = await trusting.grants()
    assert (grant["spec"]["source"], grant["spec"]["user"]) == ("IDJAG", "okta:alice")
    again = await assertion(trusting, assertion=jag)
    assert again.json()["error"] == "invalid_grant"
    end = time.monotonic() + 5.0
    while (await trusting.call(tokens["access_token"])).status_code != 401:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


@pytest.mark.requirement("AUT-3", "AUT-6")
async def test_of_many_who_present_one_assertion_at_three_replicas_one_succeeds_and_its_grant_ends(replicas: Scene) -> None:
    await replicas.platform.apply(replicas.settings(oauth={"clients": [CLIENT]}))
    await replicas.gateway("tools", oauth={"enabled": True}, identityProviders=[{"name": "okta", "idJag": True}])
    bases = [one.url for one in replicas.replicas]
    async with httpx.AsyncClient() as http, asyncio.timeout(20):
        for base in bases:
            while JWT_BEARER not in (await http.get(f"{base}/.well-known/oauth-authorization-server")).text:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
    jag = await replicas.provider.id_jag(audience=replicas.url, resource=replicas.resource, client_id="assistant")
    answers = await asyncio.gather(*(assertion(replicas, assertion=jag, base=base) for base in bases * 3))
    won = [answer.json()["access_token"] for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"invalid_grant"}
    (grant,) = await replicas.grants()
    assert grant["spec"]["revoked"]
    async with asyncio.timeout(10):
        for number in range(len(bases)):
            while (await replicas.call(won[0], replica=number)).status_code != 401:  # noqa: ASYNC110 - replicas hear of it by themselves
                await asyncio.sleep(0.02)
    late = await assertion(replicas, assertion=jag, base=bases[-1])
    assert late.json()["error"] == "invalid_grant"


@pytest.mark.requirement("AUT-3")
async def test_an_assertion_for_somebody_else_or_of_another_client_gives_nothing(trusting: Scene) -> None:
    for changes in ({"audience": "https://other.example"}, {"client_id": "other"}, {"resource": "https://other.example/mcp"}):
        refused = await assertion(trusting, **changes)
        assert refused.status_code == 400, changes
    assert (await assertion(trusting, assertion=await trusting.provider.id_token())).json()["error"] == "invalid_grant"
    assert not await trusting.grants()


@pytest.fixture
async def account(trusting: Scene) -> AsyncIterator[str]:
    """A service account of the tenant."""
    body = {"metadata": {"name": "agent", "namespace": trusting.platform.tenant}}
    await trusting.platform.cluster.create(SERVICE_ACCOUNT, body)
    yield "agent"


async def token_of(admin: Login, scene: Scene, name: str, audience: str) -> str:
    """Return a token of a service account, as a projected volume has it (TokenRequest)."""
    path = f"{admin.server}/api/v1/namespaces/{scene.platform.tenant}/serviceaccounts/{name}/token"
    request = {"kind": "TokenRequest", "spec": {"audiences": [audience], "expirationSeconds": 600}}
    async with admin.session() as session, session.post(path, json=request) as answer:
        token: str = (await answer.json())["status"]["token"]
        return token


@pytest.mark.requirement("AUT-7")
async def test_a_service_account_calls_as_its_team_with_a_token_made_for_the_gateway(admin: Login, trusting: Scene, account: str) -> None:
    token = await token_of(admin, trusting, account, trusting.resource)
    assert (await trusting.call(token)).status_code == 200
    for_another = await token_of(admin, trusting, account, "https://kubernetes.default.svc")
    assert (await trusting.call(for_another)).status_code == 401
    await trusting.platform.cluster.create(SERVICE_ACCOUNT, {"metadata": {"name": "stranger", "namespace": trusting.platform.tenant}})
    assert (await trusting.call(await token_of(admin, trusting, "stranger", trusting.resource))).status_code == 404
