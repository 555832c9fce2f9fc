"""What is known of a cluster, with and without the right to see it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from cluster_network import cilium_agent, node, set_cilium
from eventually import eventually
from impersonation import login_as
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_operator.cluster_copies import ClusterCopies
from wharfinger_operator.cluster_facts import CILIUM_CONFIG, CONFIG_KEYS, DAEMON_SETS_READ, NODES_READ, PolicyKind, config_read
from wharfinger_operator.plan.detection.order import detect

Seen = Callable[[Login], AbstractAsyncContextManager[tuple[ClusterCopies, list[None]]]]


@pytest.fixture
def seen() -> Seen:
    @asynccontextmanager
    async def look(login: Login) -> AsyncIterator[tuple[ClusterCopies, list[None]]]:
        told: list[None] = []
        async with Cluster(login) as cluster:
            copies = ClusterCopies(cluster, lambda: {"CiliumNetworkPolicy": PolicyKind()}, lambda: told.append(None))
            running = asyncio.create_task(copies.run())
            async with asyncio.timeout(30):
                await copies.settled()
            yield copies, told
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return look


@pytest.mark.requirement("ENV-5")
async def test_missing_rights_are_facts_and_hold_nothing_up(seen: Seen, admin: Login) -> None:
    nobody = login_as(admin, "nobody")

    async with seen(nobody) as (copies, _):
        assert copies.facts.unread == {NODES_READ, DAEMON_SETS_READ, *map(config_read, CONFIG_KEYS)}
        found = detect(copies.facts)
        assert copies.followed == (), "what is refused is no copy that grows old"

    assert found.name == "NetworkPolicy"
    assert found.evidence == ("the operator cannot read nodes",)


@pytest.mark.requirement("ENV-5")
async def test_an_agent_its_settings_and_the_addresses_of_nodes_are_followed(seen: Seen, admin: Login, cluster: Cluster) -> None:
    async with seen(admin) as (copies, told):
        assert copies.facts.unread == frozenset()
        before = copies.ranges
        async with cilium_agent(cluster, enable_l7_proxy="true"), node(cluster, "node-of-copies", "203.0.113.78", "198.18.1.0/24"):
            await eventually(lambda: copies.facts.is_ready("cilium") and "203.0.113.78/32" in copies.ranges)
            assert copies.facts.setting(CILIUM_CONFIG, "enable-l7-proxy", "") == "true"
            assert told

            await set_cilium(cluster, enable_l7_proxy="false")
            await eventually(lambda: copies.facts.setting(CILIUM_CONFIG, "enable-l7-proxy", "") == "false")
            assert detect(copies.facts).domains.reason == "L7ProxyDisabled"

        await eventually(lambda: "cilium" not in copies.facts.daemon_sets and CILIUM_CONFIG not in copies.facts.config)
        assert set(copies.ranges) == {*before, "203.0.113.78/32"}, "blocks are kept although their node has gone"
