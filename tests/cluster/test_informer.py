"""The informer's promises, kept through the faults of a proxy in front of a real API server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from eventually import eventually
from faulty_proxy import FaultyProxy, lists, status_of, watches
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Gone, NotFound, Unreachable
from wharfinger_cluster.informer import ChangeType, Informer
from wharfinger_cluster.resource import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, NAMESPACE, SECRET, Object, Resource, Scope

Change = tuple[ChangeType, str]


class Journal:
    """What an informer told, in order."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def __call__(self, change: ChangeType, old: Object | None, new: Object | None) -> None:
        assert (old is None) == (change == "ADDED")
        assert (new is None) == (change == "DELETED")
        shown = new or old
        assert shown is not None
        self.changes.append((change, shown["metadata"]["name"]))


@asynccontextmanager
async def running(informer: Informer, *, synced: bool = True) -> AsyncIterator[Informer]:
    task = asyncio.create_task(informer.run())
    try:
        if synced:
            async with asyncio.timeout(15):
                await informer.synced.wait()
        yield informer
        assert not task.done(), "the informer ended by itself"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def mine(namespace: str) -> Scope:
    return Scope(namespace, fields="metadata.name!=kube-root-ca.crt")


async def make(cluster: Cluster, namespace: str, *names: str) -> None:
    for name in names:
        await cluster.apply(CONFIG_MAP, {"metadata": {"name": name, "namespace": namespace}, "data": {"key": "value"}})


async def remove(cluster: Cluster, namespace: str, *names: str) -> None:
    for name in names:
        await cluster.delete(CONFIG_MAP, name, namespace)


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def informer(through: Cluster, namespace: str, journal: Journal) -> Informer:
    return Informer(through, CONFIG_MAP, mine(namespace), on_change=journal)


async def test_a_list_and_then_every_change_is_told_in_order(
    cluster: Cluster, namespace: str, informer: Informer, journal: Journal
) -> None:
    await make(cluster, namespace, "a", "b")
    async with running(informer):
        assert journal.changes == [("ADDED", "a"), ("ADDED", "b")]
        await make(cluster, namespace, "c")
        await cluster.patch(CONFIG_MAP, "a", {"data": {"key": "new"}}, namespace)
        await remove(cluster, namespace, "b")
        await eventually(lambda: len(journal.changes) == 5)

    assert journal.changes[2:] == [("ADDED", "c"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert set(informer.store) == {(namespace, "a"), (namespace, "c")}
    kept = informer.get("a", namespace)
    assert kept is not None
    assert (kept["kind"], kept["data"], "managedFields" in kept["metadata"]) == ("ConfigMap", {"key": "new"}, False)
    assert informer.get("b", namespace) is None


async def test_all_pages_are_listed(cluster: Cluster, namespace: str, proxy: FaultyProxy, informer: Informer) -> None:
    names = [f"n{n}" for n in range(7)]
    await make(cluster, namespace, *names)
    informer.page = 3
    async with running(informer):
        assert sorted(name for _, name in informer.store) == names
    assert proxy.count("limit=3") == 3


@pytest.mark.parametrize("how", ["in the stream", "by HTTP"])
async def test_what_was_deleted_in_a_gap_of_history_is_told(
    *, cluster: Cluster, namespace: str, proxy: FaultyProxy, informer: Informer, journal: Journal, how: str
) -> None:
    await make(cluster, namespace, "stays", "goes", "changes", "again")
    async with running(informer):
        await eventually(lambda: proxy.open_watches == 1)
        before = informer.get("again", namespace)
        journal.changes.clear()
        proxy.freeze()
        await remove(cluster, namespace, "goes", "again")
        await make(cluster, namespace, "comes", "again")
        latest = await cluster.patch(CONFIG_MAP, "changes", {"data": {"key": "new"}}, namespace)
        forgotten = int(latest["metadata"]["resourceVersion"])
        proxy.answer(410, lambda request: watches(request) and int(request.query["resourceVersion"]) < forgotten, times=float("inf"))
        if how == "in the stream":
            await proxy.inject(msgspec.json.encode({"type": "ERROR", "object": status_of(410, "Expired")}))
        else:
            proxy.cut_watches()
        proxy.thaw()
        await eventually(lambda: len(journal.changes) == 5)

        assert sorted(journal.changes) == [
            ("ADDED", "again"), ("ADDED", "comes"), ("DELETED", "again"), ("DELETED", "goes"), ("MODIFIED", "changes"),
        ]  # fmt: skip
        after = informer.get("again", namespace)
        assert before and after and before["metadata"]["uid"] != after["metadata"]["uid"]
        await eventually(lambda: informer.problem is None)
    assert {name for _, name in informer.store} == {"stays", "changes", "again", "comes"}


async def test_a_cut_watch_goes_on_where_it_was_without_another_list(
    cluster: Cluster, namespace: str, proxy: FaultyProxy, informer: Informer, journal: Journal
) -> None:
    async with running(informer):
        await eventually(lambda: proxy.open_watches == 1)
        proxy.cut_watches()
        await make(cluster, namespace, "a")
        await remove(cluster, namespace, "a")
        await eventually(lambda: journal.changes == [("ADDED", "a"), ("DELETED", "a")])
    assert proxy.count("limit=") == 1


async def test_an_outage_of_the_api_server_empties_nothing_and_is_survived(
    cluster: Cluster, namespace: str, proxy: FaultyProxy, informer: Informer, journal: Journal
) -> None:
    await make(cluster, namespace, "a", "b")
    async with running(informer):
        contact = informer.last_contact
        journal.changes.clear()
        await proxy.refuse()
        await eventually(lambda: isinstance(informer.problem, Unreachable))
        await remove(cluster, namespace, "a")
        assert set(informer.store) == {(namespace, "a"), (namespace, "b")}
        await proxy.accept()
        await eventually(lambda: journal.changes == [("DELETED", "a")])
        assert informer.problem is None
        assert contact < informer.last_contact <= time.monotonic()


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
async def test_whatever_the_api_server_answers_the_informer_goes_on(
    *, cluster: Cluster, namespace: str, proxy: FaultyProxy, informer: Informer, journal: Journal, status: int
) -> None:
    await make(cluster, namespace, "a")
    proxy.answer(status, lists, headers={"Retry-After": "0"})
    async with running(informer):
        proxy.answer(status, watches)
        proxy.cut_watches()
        await make(cluster, namespace, "b")
        await eventually(lambda: journal.changes == [("ADDED", "a"), ("ADDED", "b")])


@pytest.mark.parametrize("line", [b"<html>", b"{}", b'{"type":"ADDED","object":{}}', b'{"type":"ADDED","object":{"metadata":{}}}'])
async def test_nonsense_in_the_stream_is_survived(
    cluster: Cluster, namespace: str, proxy: FaultyProxy, informer: Informer, line: bytes
) -> None:
    async with running(informer):
        await eventually(lambda: proxy.open_watches == 1)
        await proxy.inject(line)
        await eventually(lambda: informer.problem is not None)
        await make(cluster, namespace, "a")
        await eventually(lambda: len(informer.store) == 1)


async def test_an_answer_that_is_no_list_deletes_nothing(
    cluster: Cluster, namespace: str, proxy: FaultyProxy, informer: Informer, journal: Journal
) -> None:
    await make(cluster, namespace, "a")
    async with running(informer):
        proxy.answer(200, lists, times=2, body=b"{}")
        proxy.answer(410, watches)
        proxy.cut_watches()
        await eventually(lambda: isinstance(informer.problem, Unreachable) and "not a list" in str(informer.problem))
        await eventually(lambda: informer.problem is None)
    assert journal.changes == [("ADDED", "a")]


async def test_a_list_that_breaks_off_deletes_nothing(
    cluster: Cluster, namespace: str, proxy: FaultyProxy, informer: Informer, journal: Journal
) -> None:
    await make(cluster, namespace, "a", "b", "c")
    informer.page = 1
    async with running(informer):
        proxy.answer(410, lambda request: bool(request.query.get("continue")))
        proxy.answer(410, watches)
        proxy.cut_watches()
        await eventually(lambda: isinstance(informer.problem, Gone))
        await eventually(lambda: informer.problem is None)
    assert journal.changes == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]


async def test_a_watch_that_stays_silent_is_replaced_by_a_list(
    cluster: Cluster, namespace: str, proxy: FaultyProxy, informer: Informer, journal: Journal
) -> None:
    """So looks a firewall that forgot the connection, and an API server whose etcd was set back to an older version."""
    informer.silence = 0.5
    await make(cluster, namespace, "a")
    async with running(informer):
        proxy.freeze()
        await remove(cluster, namespace, "a")
        await eventually(lambda: journal.changes == [("ADDED", "a"), ("DELETED", "a")])
    assert proxy.count("limit=") >= 2


async def test_a_missing_definition_is_a_problem_until_it_is_there(cluster: Cluster, proxy: FaultyProxy, through: Cluster) -> None:
    later = Resource("wharfinger.test", "v1", "laters", "Later")
    await discard(cluster, "laters.wharfinger.test")
    async with running(Informer(through, later), synced=False) as informer:
        await eventually(lambda: isinstance(informer.problem, NotFound))
        assert "is its CustomResourceDefinition installed?" in str(informer.problem)
        assert not informer.synced.is_set()
        await cluster.create(CUSTOM_RESOURCE_DEFINITION, definition(later))
        try:
            await eventually(informer.synced.is_set)
            await eventually(lambda: informer.problem is None)
        finally:
            await discard(cluster, "laters.wharfinger.test")


async def test_a_failing_callback_does_not_hold_up_the_others(
    cluster: Cluster, namespace: str, through: Cluster, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def digest(change: ChangeType, old: Object | None, new: Object | None) -> None:
        assert new
        if new["metadata"]["name"] == "poison":
            raise RuntimeError("indigestible")
        told.append(new["metadata"]["name"])

    await make(cluster, namespace, "poison", "z")
    async with running(Informer(through, CONFIG_MAP, mine(namespace), on_change=digest)):
        await make(cluster, namespace, "later")
        await eventually(lambda: told == ["z", "later"])
    assert "indigestible" in caplog.text
    assert proxy.count("limit=") == 1


async def test_a_transform_keeps_large_data_out_of_the_copy(cluster: Cluster, namespace: str, through: Cluster) -> None:
    await cluster.create(SECRET, {"metadata": {"name": "large", "namespace": namespace}, "stringData": {"key": "x" * 1000}})

    def without_data(found: Object) -> Object:
        return {key: value for key, value in found.items() if key != "data"}

    async with running(Informer(through, SECRET, Scope(namespace), transform=without_data)) as informer:
        kept = informer.get("large", namespace)
    assert kept
    assert "data" not in kept


async def test_cluster_scoped_objects_have_an_empty_namespace(cluster: Cluster, namespace: str, through: Cluster) -> None:
    async with running(Informer(through, NAMESPACE, Scope(fields=f"metadata.name={namespace}"))) as informer:
        assert set(informer.store) == {("", namespace)}


async def discard(cluster: Cluster, name: str) -> None:
    with suppress(NotFound):
        await cluster.delete(CUSTOM_RESOURCE_DEFINITION, name)


def definition(resource: Resource) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {"plural": resource.plural, "kind": resource.kind},
            "versions": [{"name": resource.version, "served": True, "storage": True, "schema": schema}],
        },
    }
