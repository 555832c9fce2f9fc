"""How many grants a person has, and what becomes of those beyond."""

import asyncio
import time
from dataclasses import replace

import pytest

from authorization_scene import Client, Scene
from wharfinger_oauth.grant_record import GrantRecord, grant_name
from wharfinger_oauth.grants import GRANTS_OF_A_USER, Grants
from wharfinger_oauth.subject import Subject

KEY = bytes([7]) * 32
"""The scene's root key."""
NOW = int(time.time())
ALICE = Subject("okta:alice", "okta", "https://okta.example", "alice", NOW)
RECORD = GrantRecord("", ALICE, "c" * 32, "Agent", "localhost", "dev.tools", "OAuth", ("mcp",), NOW + 24 * 3600)


async def counting(scene: Scene) -> set[str]:
    return {one["metadata"]["name"] for one in await scene.grants() if not one["spec"].get("revoked")}


@pytest.mark.requirement("AUT-6")
async def test_a_login_ends_the_oldest_grant_beyond_fifty_and_what_that_was_made_from_stays_used(scene: Scene, client: Client) -> None:
    grants = Grants(scene.platform.cluster, scene.platform.system)
    code = (await client.code())["code"]
    first = (await client.redeem(code)).json()
    (oldest,) = await counting(scene)
    second = int(time.time())
    async with asyncio.timeout(10):
        while int(time.time()) == second:  # noqa: ASYNC110 - the API server tells grants of one second not apart
            await asyncio.sleep(0.02)
    others = {
        "bobs": {"subject": Subject("okta:bob", "okta", "https://okta.example", "bob", NOW)},
        "revoked": {"revoked": True},
        "expired": {"expires_at": NOW - 1},
    }
    for name, changes in others.items():
        await grants.create(replace(RECORD, name=grant_name("code", name), **changes), KEY)  # type: ignore[arg-type]
    await grants.revoke(grant_name("code", "revoked"))
    for number in range(GRANTS_OF_A_USER - 1):
        await grants.create(replace(RECORD, name=grant_name("code", f"{number}")), KEY)
    before = await counting(scene)
    assert oldest in before
    assert (await scene.call(first["access_token"])).status_code == 200

    newest = await client.tokens()

    after = await counting(scene)
    assert before - after == {oldest}
    assert len(after - before) == 1
    assert (await scene.call(newest["access_token"])).status_code == 200
    assert (await client.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await client.redeem(code)).json()["error"] == "invalid_grant"
    async with asyncio.timeout(10):
        while (await scene.call(first["access_token"])).status_code != 401:  # noqa: ASYNC110 - the gateway hears of it by itself
            await asyncio.sleep(0.02)


@pytest.mark.requirement("AUT-6")
async def test_of_many_grants_of_one_moment_the_one_just_made_is_not_the_one_that_ends(scene: Scene) -> None:
    grants = Grants(scene.platform.cluster, scene.platform.system)
    # The first by name and by nothing else.
    names = sorted(grant_name("code", f"{number}") for number in range(GRANTS_OF_A_USER + 3))
    await asyncio.gather(*(grants.create(replace(RECORD, name=name), KEY) for name in names))
    await grants.end_oldest("okta:alice", names[0], time.time())
    left = await counting(scene)
    assert (len(left), names[0] in left) == (GRANTS_OF_A_USER, True)
    # Whoever does the same at another replica finds nothing left to do.
    await grants.end_oldest("okta:alice", names[0], time.time())
    assert await counting(scene) == left


async def test_the_page_of_a_person_shows_the_grants_that_count(scene: Scene, client: Client) -> None:
    grants = Grants(scene.platform.cluster, scene.platform.system)
    await client.tokens()
    for name in ("One", "Two"):
        await grants.create(replace(RECORD, name=grant_name("code", name), client_name=f"Agent {name}"), KEY)
    await grants.revoke(grant_name("code", "Two"))
    page = (await client.http.get(f"{scene.url}/oauth/connected")).text
    assert "Test Client" in page
    assert "Agent One" in page
    assert "Agent Two" not in page
