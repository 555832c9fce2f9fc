"""From a client that knows nothing to a tool call, as a person in a browser sees it, over a real API server and a real identity provider."""

import asyncio
import time

import pytest

from authorization_scene import GRANTS, Client, Scene, redirected
from gateway_upstream import UpstreamServer
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import SECRET
from wharfinger_crds.kinds import GATEWAY


@pytest.mark.requirement("AUT-1")
async def test_a_person_logs_in_consents_and_his_client_calls_a_tool(scene: Scene, client: Client, server: UpstreamServer) -> None:
    refused = await scene.call("none.of.ours")
    assert refused.status_code == 401
    assert f'resource_metadata="{scene.url}/.well-known/oauth-protected-resource' in refused.headers["WWW-Authenticate"]

    answer = await client.code()
    assert answer["state"] == "xyz"
    assert answer["iss"] == scene.url
    tokens = (await client.redeem(answer["code"])).json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600

    called = await scene.call(tokens["access_token"])
    assert called.status_code == 200, called.text
    assert len(server.calls()) == 1


async def test_keys_of_the_identity_provider_are_counted_as_usable_or_not(scene: Scene, client: Client) -> None:
    await client.tokens()
    _, metrics = await scene.replicas[0].probe("/metrics")
    assert 'wharfinger_gateway_provider_keys{identity_provider="okta",state="usable"} 2.0' in metrics
    assert 'wharfinger_gateway_provider_keys{identity_provider="okta",state="dropped"} 0.0' in metrics


@pytest.mark.requirement("AUT-6", "GW-7")
async def test_a_grant_is_an_object_that_says_who_gave_whom_access_and_no_secret(
    scene: Scene, client: Client, server: UpstreamServer
) -> None:
    tokens = await client.tokens()
    (grant,) = await scene.grants()
    assert grant["spec"]["user"] == "okta:alice"
    assert grant["spec"]["client"]["name"] == "Test Client"
    assert grant["spec"]["client"]["redirectHost"] == "127.0.0.1:7777"
    assert grant["spec"]["gateway"] == scene.platform.gateway_id
    assert grant["spec"]["subject"]["groups"] == ["engineering", "staff"]
    await scene.call(tokens["access_token"])
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert token not in str(grant)
        assert token not in str(server.requests)


@pytest.mark.requirement("AUT-6")
async def test_deleting_a_grant_ends_its_tokens_in_a_moment(scene: Scene, client: Client) -> None:
    tokens = await client.tokens()
    assert (await scene.call(tokens["access_token"])).status_code == 200
    (grant,) = await scene.grants()
    await scene.platform.cluster.delete(GRANTS, grant["metadata"]["name"], scene.platform.system)
    end = time.monotonic() + 5.0
    while (await scene.call(tokens["access_token"])).status_code != 401:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.requirement("AUT-5", "GW-3")
async def test_who_is_not_in_the_team_gets_no_page_to_consent_on(scene: Scene, client: Client) -> None:
    page = await client.consent_page(person="bob")
    assert page.status_code == 403
    assert "okta:bob" in page.text
    assert not await scene.grants()


@pytest.mark.requirement("AUT-5")
async def test_a_team_that_loses_a_group_loses_its_members_at_the_next_request(scene: Scene, client: Client) -> None:
    tokens = await client.tokens()
    assert (await scene.call(tokens["access_token"])).status_code == 200
    await scene.platform.apply(scene.settings(teams=[{"name": "engineering"}, {"name": "sales"}]))
    end = time.monotonic() + 5.0
    while (await scene.call(tokens["access_token"])).status_code != 404:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_no_is_an_answer_that_the_client_gets(scene: Scene, client: Client) -> None:
    answer = await client.code(answer="deny")
    assert answer["error"] == "access_denied"
    assert answer["iss"] == scene.url
    assert answer["state"] == "xyz"
    assert not await scene.grants()


async def test_a_token_counts_at_its_gateway_only(scene: Scene, client: Client) -> None:
    await scene.gateway("others")
    tokens = await client.tokens()
    other = scene.platform.gateway_id.replace("tools", "others")
    end = time.monotonic() + 5.0
    while redirected(await client.http.get(client.request(resource=scene.resource.replace("tools", "others")))).get("error"):
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    there = await scene.call(tokens["access_token"], gateway=other)
    nowhere = await scene.call(tokens["access_token"], gateway=f"{other}x")
    assert (there.status_code, nowhere.status_code) == (401, 401)
    assert there.headers["WWW-Authenticate"].replace(other, "") == nowhere.headers["WWW-Authenticate"].replace(f"{other}x", "")


async def test_a_gateway_without_oauth_takes_no_logins_and_its_answer_is_that_of_one_that_is_not_there(
    scene: Scene, client: Client
) -> None:
    tokens = await client.tokens()
    await scene.gateway("tools", bearerTokens={"enabled": True})
    end = time.monotonic() + 5.0
    while (found := await scene.call(tokens["access_token"])).status_code == 200:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    assert found.status_code == 404
    refused = redirected(await client.http.get(client.request()))
    assert refused["error"] == "invalid_target"
    await scene.platform.cluster.delete(kind_resource(GATEWAY), "tools", scene.platform.tenant)
    assert redirected(await client.http.get(client.request())) == refused
    assert (await scene.call(tokens["access_token"])).content == found.content


async def test_without_signing_keys_logins_wait_and_static_tokens_go_on(scene: Scene, client: Client) -> None:
    # Keys that are gone stay in use until the process ends; they are the operator's to make.
    await scene.platform.cluster.delete(SECRET, "wharfinger-signing-keys", scene.platform.system)
    tokens = await client.tokens()
    assert (await scene.call(tokens["access_token"])).status_code == 200


async def test_an_error_goes_to_the_client_only_where_its_redirect_uri_is_its_own(scene: Scene, client: Client) -> None:
    own = await client.http.get(client.request(code_challenge=None))
    assert redirected(own)["error"] == "invalid_request"
    assert redirected(own)["iss"] == scene.url
    foreign = await client.http.get(client.request(redirect_uri="https://evil.example/cb"))
    assert foreign.status_code == 400
    assert "Location" not in foreign.headers
