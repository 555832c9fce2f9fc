"""Whoever leaves a group or the organization is out at the next refresh, where the identity provider can be asked again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import authorization_scene
from authorization_scene import Client, Scene
from faulty_proxy import FaultyProxy
from gateway_upstream import UpstreamServer
from wharfinger_cluster.resource import SECRET, Object, Scope
from wharfinger_crds import names

SCOPES = ["openid", "email", "groups", "offline_access"]
OLD = 5.1
"""Seconds: more than half of the lifetime of access tokens, after which the provider is asked again."""
LOGINS = f"{names.PART}={names.LOGIN_PART}"


@pytest.fixture
async def asking(empty: Scene, proxy: FaultyProxy, server: UpstreamServer, tmp_path: Path) -> AsyncIterator[Scene]:
    """Three replicas whose provider is asked again at each refresh."""
    await empty.prepare(server.url, identityProviders=[empty.provider_settings(scopes=SCOPES)], oauth={"accessLifetime": "10s"})
    async with AsyncExitStack() as stack:
        kubeconfig = Path(empty.platform.kubeconfig(tmp_path / "kubeconfig", proxy.url))
        yield await stack.enter_async_context(authorization_scene.running(empty, kubeconfig, 3))


async def logins(scene: Scene) -> tuple[Object, ...]:
    return await scene.platform.cluster.list(SECRET, Scope(scene.platform.system, labels=LOGINS))


async def once_old(client: Client, tokens: dict[str, Any]) -> dict[str, Any]:
    """Refresh when what is known of the person is old enough to be asked about."""
    await asyncio.sleep(OLD)
    answer = await client.refresh(tokens["refresh_token"])
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.requirement("AUT-5")
async def test_who_left_the_group_is_out_at_the_next_refresh(asking: Scene) -> None:
    async with authorization_scene.client(asking) as client:
        tokens = await client.tokens()
        tokens = await once_old(client, tokens)
        assert (await asking.call(tokens["access_token"])).status_code == 200
        asking.provider.change("alice", groups=["staff"])
        assert (await once_old(client, tokens))["error"] == "invalid_grant"


@pytest.mark.requirement("AUT-5")
async def test_who_joins_another_group_is_in_it_at_the_next_refresh(asking: Scene) -> None:
    async with authorization_scene.client(asking) as client:
        tokens = await client.tokens()
        asking.provider.change("alice", groups=["engineering", "night-shift"])
        tokens = await once_old(client, tokens)
        assert (await asking.call(tokens["access_token"])).status_code == 200
        (grant,) = await asking.grants()
        assert grant["spec"]["subject"]["groups"] == ["engineering", "staff"]
        assert grant["status"]["groups"] == ["engineering", "night-shift"]


@pytest.mark.requirement("AUT-5", "AUT-6")
async def test_who_left_the_organization_has_no_grant_any_more(asking: Scene) -> None:
    async with authorization_scene.client(asking) as client:
        tokens = await client.tokens()
        asking.provider.forget("alice")
        assert (await once_old(client, tokens))["error"] == "invalid_grant"
        (grant,) = await asking.grants()
        assert grant["spec"]["revoked"]
        assert not await logins(asking)


@pytest.mark.requirement("AUT-5")
async def test_three_replicas_that_refresh_at_once_ask_the_provider_once(asking: Scene) -> None:
    async with authorization_scene.client(asking) as client:
        tokens = await client.tokens()
        await asyncio.sleep(OLD)
        answers = await asyncio.gather(*(client.refresh(tokens["refresh_token"], base=one.url) for one in asking.replicas))
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        # Had two asked with one refresh token, the provider would have ended all of them.
        assert "access_token" in await once_old(client, answers[0].json())


async def test_while_the_provider_is_away_what_was_known_counts(asking: Scene) -> None:
    async with authorization_scene.client(asking) as client:
        tokens = await client.tokens()
        asking.provider.process.kill()
        tokens = await once_old(client, tokens)
        assert (await asking.call(tokens["access_token"])).status_code == 200


async def test_groups_that_somebody_writes_into_a_grants_status_are_nobodys(asking: Scene) -> None:
    async with authorization_scene.client(asking) as client:
        asking.provider.change("alice", groups=["engineering"])
        tokens = await client.tokens()
        (grant,) = await asking.grants()
        forged = {"status": {"groups": [], "groupsSeal": "0" * 48}}
        await asking.platform.cluster.patch(
            authorization_scene.GRANTS, grant["metadata"]["name"], forged, asking.platform.system, subresource="status"
        )
        assert (await asking.call((await once_old(client, tokens))["access_token"])).status_code == 200


async def test_a_provider_that_is_taken_out_of_the_settings_ends_refreshing(scene: Scene, client: Client) -> None:
    tokens = await client.tokens()
    other = {**scene.provider_settings(), "issuer": "https://other.example"}
    await scene.platform.apply(scene.settings(identityProviders=[other]))
    async with asyncio.timeout(5):
        while (answer := await client.refresh(tokens["refresh_token"])).status_code == 200:
            tokens = answer.json()
    assert answer.json()["error"] == "invalid_grant"


async def test_what_is_kept_of_a_login_shows_no_token(asking: Scene) -> None:
    async with authorization_scene.client(asking) as client:
        await client.tokens()
        (kept,) = await logins(asking)
        assert kept["data"].keys() == {"login"}
        (grant,) = await asking.grants()
        assert grant["spec"]["subject"]["login"] == kept["metadata"]["name"]
