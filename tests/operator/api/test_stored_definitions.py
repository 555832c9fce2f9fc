"""Stored tool definitions are immutable: what can be done to one is to delete it, or to take its labels off."""

import pytest

from announcing_server import AnnouncingServer
from operator_platform import Platform, until
from recording_server import Http
from remote_installation import condition, install, offered, tool, url_of
from wharfinger_cluster.errors import Invalid
from wharfinger_cluster.resource import CONFIG_MAP, Object, Scope
from wharfinger_crds import names

SECONDS = 5.0


async def stored(platform: Platform) -> Object | None:
    found = await platform.cluster.list(CONFIG_MAP, Scope(platform.spaces.system, labels=f"{names.PART}=tools"))
    return found[0] if found else None


@pytest.mark.requirement("ORC-9")
async def test_stored_definitions_that_are_deleted_or_lose_their_labels_are_back_within_seconds(platform: Platform, https: Http) -> None:
    server = AnnouncingServer([tool("a"), tool("b")])
    async with platform.leading():
        await install(platform, await url_of(https, server))
        await condition(platform, "Ready", "True", "Succeeded")
        before = await stored(platform)
        assert before is not None
        name, asked = before["metadata"]["name"], server.lists

        await platform.cluster.delete(CONFIG_MAP, name, platform.spaces.system)

        async def is_back() -> bool:
            found = await stored(platform)
            return found is not None and found["metadata"]["uid"] != before["metadata"]["uid"] and found["data"] == before["data"]

        await until(is_back, SECONDS)
        stripped = {"metadata": {"labels": {names.PART: None, names.MANAGED_BY: None}}}
        await platform.cluster.patch(CONFIG_MAP, name, stripped, platform.spaces.system)
        await until(lambda: stored(platform), SECONDS)

        with pytest.raises(Invalid):
            await platform.cluster.patch(CONFIG_MAP, name, {"data": {names.TOOLS_KEY: "[]"}}, platform.spaces.system)
        assert await offered(platform) == ["a", "b"]
        assert server.lists <= asked + 1


@pytest.mark.requirement("ORC-9")
async def test_definitions_that_were_deleted_while_the_operator_was_away_are_asked_for_again(platform: Platform, https: Http) -> None:
    server = AnnouncingServer([tool("a")])
    async with platform.leading():
        await install(platform, await url_of(https, server))
        await condition(platform, "Ready", "True", "Succeeded")
        before = await stored(platform)
    assert before is not None
    await platform.cluster.delete(CONFIG_MAP, before["metadata"]["name"], platform.spaces.system)

    async with platform.leading():

        async def is_back() -> bool:
            found = await stored(platform)
            return found is not None and found["metadata"]["name"] == before["metadata"]["name"] and await offered(platform) == ["a"]

        await until(is_back)
