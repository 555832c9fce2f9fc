"""Tokens of an installation that is gone go away after a grace, and not before anybody could bring it back."""

import time
from typing import Any

import pytest

from faulty_proxy import FaultyProxy
from operator_platform import Platform, until
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.errors import ClusterError
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import SECRET, Object, Scope
from wharfinger_crds import names
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import INSTALLATION
from wharfinger_crds.upstream_token import SELECTOR, TokenKey, token_key
from wharfinger_operator.token_sweep import sweep_tokens

GRACE = 7 * 86_400.0
NOBODY: frozenset[TokenKey] = frozenset()
"""What an operator knows whose copy has lost every installation."""
pytestmark = pytest.mark.requirement("INS-8")


async def installed(platform: Platform, name: str = "jira", entry: str = "jira", owner: str = "okta:alice") -> TokenKey:
    made = await platform.apply(INSTALLATION, name, {"entryRef": {"name": entry}, "owner": {"user": owner}})
    return token_key(Installation.parse(made))


async def uninstalled(platform: Platform, name: str = "jira") -> None:
    await platform.cluster.delete(kind_resource(INSTALLATION), name, platform.spaces.tenant)


async def logged_in(platform: Platform, key: TokenKey) -> Object:
    return await platform.cluster.create(SECRET, {"metadata": key.metadata(platform.spaces.system), "stringData": {"refresh": "planted"}})


async def left(platform: Platform, at: float, known: frozenset[TokenKey] = NOBODY, cluster: Cluster | None = None) -> set[str]:
    """Sweep at a time, and return the names of the tokens that are left."""
    await sweep_tokens(cluster or platform.cluster, platform.spaces.system, at, GRACE, known)
    return {found["metadata"]["name"] for found in await tokens(platform)}


async def tokens(platform: Platform) -> tuple[Object, ...]:
    return await platform.cluster.list(SECRET, Scope(platform.spaces.system, labels=SELECTOR))


async def test_tokens_of_an_installation_that_is_gone_are_kept_for_the_grace_and_then_deleted(platform: Platform) -> None:
    key, now = await installed(platform), time.time()
    other = await installed(platform, "other")
    for each in (key, other):
        await logged_in(platform, each)

    assert await left(platform, now + 2 * GRACE) == {key.secret_name, other.secret_name}
    await uninstalled(platform)
    now += 2 * GRACE
    assert await left(platform, now) == {key.secret_name, other.secret_name}
    assert await left(platform, now + GRACE - 60) == {key.secret_name, other.secret_name}
    assert await left(platform, now + GRACE + 60) == {other.secret_name}


async def test_tokens_of_an_installation_that_comes_back_within_the_grace_are_kept(platform: Platform) -> None:
    key, now = await installed(platform), time.time()
    secret = await logged_in(platform, key)
    await uninstalled(platform)
    assert await left(platform, now) == {key.secret_name}

    # With another uid, as everything has after a restore.
    assert await installed(platform) == key
    assert await left(platform, now + 2 * GRACE, frozenset({key})) == {key.secret_name}

    (found,) = await tokens(platform)
    assert (found["metadata"]["uid"], found["metadata"]["annotations"]) == (secret["metadata"]["uid"], secret["metadata"]["annotations"])
    # The grace begins anew when it goes again.
    await uninstalled(platform)
    assert await left(platform, now + 2 * GRACE) == {key.secret_name}


@pytest.mark.parametrize("changed", [{"entry": "confluence"}, {"owner": "okta:bob"}], ids=["entry", "owner"])
async def test_tokens_do_not_pass_to_another_owner_or_entry_of_the_same_name(changed: dict[str, Any], platform: Platform) -> None:
    before, now = await installed(platform), time.time()
    await logged_in(platform, before)
    await uninstalled(platform)
    after = await installed(platform, **changed)
    await logged_in(platform, after)

    assert await left(platform, now, frozenset({after})) == {before.secret_name, after.secret_name}
    assert await left(platform, now + GRACE + 60, frozenset({after})) == {after.secret_name}


async def test_tokens_are_kept_where_the_api_server_says_that_the_installation_is_there_or_does_not_say(
    platform: Platform, proxy: FaultyProxy
) -> None:
    key, now = await installed(platform), time.time()
    await logged_in(platform, key)
    await uninstalled(platform)
    assert await left(platform, now) == {key.secret_name}
    await installed(platform)

    async with Cluster(Login(server=proxy.url)) as cluster:
        proxy.answer(500, lambda request: request.path.endswith("/mcpinstallations/jira"), times=float("inf"))
        with pytest.raises(ClusterError):
            await left(platform, now + 2 * GRACE, cluster=cluster)
        proxy.recover()
        assert await left(platform, now + 2 * GRACE, cluster=cluster) == {key.secret_name}


async def test_tokens_that_a_restore_brought_back_count_from_then_on_whatever_they_say_of_before(platform: Platform) -> None:
    key, now = await installed(platform), time.time()
    await uninstalled(platform)
    await logged_in(platform, key)
    assert await left(platform, now - 2 * GRACE) == {key.secret_name}

    assert await left(platform, now + 60) == {key.secret_name}


async def test_a_secret_that_has_not_the_name_of_what_it_says_is_left_alone(platform: Platform) -> None:
    metadata = TokenKey(platform.spaces.tenant, "gone", "user okta:alice", "jira").metadata(platform.spaces.system)
    await platform.cluster.create(SECRET, {"metadata": {**metadata, "name": "by-hand"}})

    assert await left(platform, time.time()) == {"by-hand"}
    assert await left(platform, time.time() + 2 * GRACE) == {"by-hand"}


async def test_the_operator_begins_the_grace_of_tokens_of_nobody(platform: Platform) -> None:
    key = TokenKey(platform.spaces.tenant, "gone", "user okta:alice", "jira")
    await logged_in(platform, key)

    async def is_marked() -> bool:
        return any(f"{names.GROUP}/orphaned-since" in found["metadata"]["annotations"] for found in await tokens(platform))

    async with platform.leading():
        await until(is_marked, 20)


def test_the_name_of_tokens_is_the_same_in_every_version() -> None:
    assert TokenKey("team-a", "jira", "user okta:alice", "jira").secret_name == "upstream-token-qiorz5dous34lgd56gasiqgytpye7v67"
