"""What a write returned, taken into a copy at once: nothing older overrides it."""

import asyncio
from contextlib import suppress

from eventually import eventually
from faulty_proxy import FaultyProxy
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.informer import ChangeType, Informer
from wharfinger_cluster.resource import CONFIG_MAP, Object, Scope


async def test_what_was_written_is_seen_at_once_and_told_to_nobody(
    cluster: Cluster, through: Cluster, namespace: str, proxy: FaultyProxy
) -> None:
    told: list[tuple[ChangeType, str]] = []

    def changed(change: ChangeType, old: Object | None, new: Object | None) -> None:
        told.append((change, (new or old or {})["metadata"]["name"]))

    informer = Informer(through, CONFIG_MAP, Scope(namespace, fields="metadata.name!=kube-root-ca.crt"), on_change=changed)
    task = asyncio.create_task(informer.run())
    try:
        await eventually(lambda: proxy.open_watches == 1)
        proxy.freeze()
        body = {"metadata": {"name": "a", "namespace": namespace}, "data": {"key": "1"}}
        first = await cluster.apply(CONFIG_MAP, body)
        await cluster.delete(CONFIG_MAP, "a", namespace)
        second = await cluster.apply(CONFIG_MAP, {**body, "data": {"key": "2"}})

        informer.take(second)
        informer.take(first)
        await cluster.apply(CONFIG_MAP, {"metadata": {"name": "b", "namespace": namespace}})
        proxy.thaw()
        await eventually(lambda: informer.get("b", namespace))

        kept = informer.get("a", namespace)
        assert kept is not None
        assert kept["data"] == {"key": "2"}
        assert told == [("ADDED", "b")]

        await cluster.delete(CONFIG_MAP, "a", namespace)
        await eventually(lambda: informer.get("a", namespace) is None)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_list_from_before_a_write_does_not_take_it_back(
    cluster: Cluster, through: Cluster, namespace: str, proxy: FaultyProxy
) -> None:
    informer = Informer(through, CONFIG_MAP, Scope(namespace, fields="metadata.name!=kube-root-ca.crt"))
    written = await cluster.apply(CONFIG_MAP, {"metadata": {"name": "a", "namespace": namespace}})
    informer.take({**written, "metadata": {**written["metadata"], "name": "newer", "resourceVersion": str(10**15)}})
    task = asyncio.create_task(informer.run())
    try:
        await eventually(informer.synced.is_set)

        assert set(informer.store) == {(namespace, "a"), (namespace, "newer")}
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_is_deleted_before_its_write_is_answered_stays_deleted(cluster: Cluster, namespace: str) -> None:
    informer = Informer(cluster, CONFIG_MAP, Scope(namespace, fields="metadata.name!=kube-root-ca.crt"))
    task = asyncio.create_task(informer.run())
    try:
        await eventually(informer.synced.is_set)
        body = {"metadata": {"name": "a", "namespace": namespace}, "data": {"key": "1"}}
        written = await cluster.apply(CONFIG_MAP, body)
        await eventually(lambda: informer.get("a", namespace))
        await cluster.delete(CONFIG_MAP, "a", namespace)
        await eventually(lambda: informer.get("a", namespace) is None)
        informer.take(written)
        assert informer.get("a", namespace) is None

        informer.take(await cluster.apply(CONFIG_MAP, body))
        assert informer.get("a", namespace) is not None
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
