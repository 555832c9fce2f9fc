"""Requests through a proxy that fails on demand, in front of a real API server."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from faulty_proxy import FaultyProxy, watches, writes
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.errors import Gone, Unreachable
from wharfinger_cluster.resource import CONFIG_MAP, NAMESPACE, SECRET, Object, Resource, Scope
from wharfinger_cluster.transport import WRITES

NO_LISTS = [
    b"<html>Welcome</html>",
    b"[]",
    b"{}",
    b'{"kind":"NamespaceList","items":[]}',
    b'{"kind":"Namespace","metadata":{"resourceVersion":"7"}}',
]


def example(namespace: str) -> Object:
    return {"metadata": {"name": "example", "namespace": namespace}}


async def test_a_read_that_met_too_many_requests_is_sent_again(proxy: FaultyProxy, through: Cluster) -> None:
    proxy.answer(429, times=3, headers={"Retry-After": "0"})
    assert (await through.get(NAMESPACE, "default"))["metadata"]["name"] == "default"
    assert len(proxy.seen) == 4


async def test_a_read_gives_up_when_there_are_too_many_requests_for_long(proxy: FaultyProxy, through: Cluster) -> None:
    proxy.answer(429, times=float("inf"), headers={"Retry-After": "0"})
    with pytest.raises(Unreachable) as refused:
        await through.get(NAMESPACE, "default")
    assert (refused.value.status, refused.value.retry_after) == (429, 0.0)
    assert len(proxy.seen) == 4


async def test_a_write_is_sent_once_and_says_when_to_come_back(proxy: FaultyProxy, through: Cluster, namespace: str) -> None:
    proxy.answer(429, writes, times=float("inf"), headers={"Retry-After": "7"})
    with pytest.raises(Unreachable) as refused:
        await through.apply(CONFIG_MAP, example(namespace))
    assert refused.value.retry_after == 7.0
    assert len(proxy.seen) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_failing_server_is_unreachable(proxy: FaultyProxy, through: Cluster, status: int) -> None:
    proxy.answer(status)
    with pytest.raises(Unreachable, match=f"get namespaces default: {status}: injected"):
        await through.get(NAMESPACE, "default")


async def test_refused_connections_are_unreachable(proxy: FaultyProxy, through: Cluster) -> None:
    await proxy.refuse()
    with pytest.raises(Unreachable, match="get namespaces default"):
        await through.get(NAMESPACE, "default")


@pytest.mark.parametrize("body", NO_LISTS)
async def test_an_answer_that_is_no_list_is_not_taken_for_an_empty_one(proxy: FaultyProxy, through: Cluster, body: bytes) -> None:
    proxy.answer(200, body=body)
    with pytest.raises(Unreachable, match="is this the API server"):
        await through.list(NAMESPACE)


async def test_a_redirect_is_not_followed(proxy: FaultyProxy, through: Cluster) -> None:
    proxy.answer(302, headers={"Location": "/api/v1/namespaces/kube-system"})
    with pytest.raises(Unreachable, match="302"):
        await through.get(NAMESPACE, "default")


async def test_every_request_is_counted_by_verb_also_without_an_answer(proxy: FaultyProxy, namespace: str) -> None:
    counted: list[tuple[str, Resource, int]] = []

    def count(verb: str, resource: Resource, status: int, seconds: float) -> None:
        assert 0 <= seconds < 60
        counted.append((verb, resource, status))

    async with Cluster(Login(server=proxy.url), on_request=count) as cluster:
        await cluster.list(SECRET, Scope(namespace))
        async with cluster.watch(SECRET, Scope(namespace), resource_version=""):
            pass
        found = await cluster.create(CONFIG_MAP, example(namespace))
        await cluster.apply(CONFIG_MAP, example(namespace))
        await cluster.patch(CONFIG_MAP, "example", {}, namespace)
        await cluster.replace(CONFIG_MAP, {**found, "metadata": example(namespace)["metadata"]})
        await cluster.get(CONFIG_MAP, "example", namespace)
        await cluster.delete(CONFIG_MAP, "example", namespace)
        await proxy.refuse()
        with pytest.raises(Unreachable):
            await cluster.create(CONFIG_MAP, example(namespace))

    assert counted == [
        ("list", SECRET, 200),
        ("watch", SECRET, 200),
        ("create", CONFIG_MAP, 201),
        ("apply", CONFIG_MAP, 200),
        ("patch", CONFIG_MAP, 200),
        ("update", CONFIG_MAP, 200),
        ("get", CONFIG_MAP, 200),
        ("delete", CONFIG_MAP, 200),
        ("create", CONFIG_MAP, 0),
    ]
    assert {verb for verb, _, _ in counted} - WRITES == {"list", "watch", "get"}


async def test_many_watches_leave_connections_for_requests(proxy: FaultyProxy, through: Cluster) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(40):
            await stack.enter_async_context(through.watch(NAMESPACE, resource_version="0"))
        async with asyncio.timeout(5):
            assert await through.get(NAMESPACE, "default")


async def test_requests_use_at_most_32_connections(proxy: FaultyProxy, through: Cluster) -> None:
    await asyncio.gather(*(through.get(NAMESPACE, "default") for _ in range(100)))
    assert 1 < proxy.connections <= 32


async def test_a_watch_gives_events_and_ends_when_its_time_is_over(through: Cluster, namespace: str) -> None:
    async with through.watch(CONFIG_MAP, Scope(namespace, fields="metadata.name=example"), resource_version="", seconds=1) as events:
        await through.create(CONFIG_MAP, example(namespace))
        await through.delete(CONFIG_MAP, "example", namespace)
        seen = [event async for event in events if event.type != "BOOKMARK"]
    assert [(event.type, event.object["metadata"]["name"]) for event in seen] == [("ADDED", "example"), ("DELETED", "example")]
    assert not any("managedFields" in event.object["metadata"] for event in seen)


async def test_a_refused_watch_raises_when_it_is_opened(proxy: FaultyProxy, through: Cluster) -> None:
    proxy.answer(410, watches)
    with pytest.raises(Gone):
        async with through.watch(NAMESPACE, resource_version="1"):
            pytest.fail("it was opened")


async def test_a_silent_watch_is_given_up(proxy: FaultyProxy, through: Cluster) -> None:
    proxy.freeze()
    with pytest.raises(Unreachable, match="watch namespaces: SocketTimeoutError"):
        async with through.watch(NAMESPACE, resource_version="0", silence=0.3) as events:
            await anext(events)


async def test_a_cut_watch_is_unreachable(proxy: FaultyProxy, through: Cluster) -> None:
    with pytest.raises(Unreachable, match="watch namespaces"):
        async with through.watch(NAMESPACE, resource_version="0") as events:
            await anext(events)
            proxy.cut_watches()
            async for _ in events:
                pass


async def test_an_answer_that_is_no_http_does_not_give_the_credential_away() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()
        writer.close()

    async def credential() -> str:
        return "Bearer planted-token"

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Cluster(Login(server=f"http://127.0.0.1:{port}", authorization=credential)) as cluster:
            with pytest.raises(Unreachable) as refused:
                await cluster.get(NAMESPACE, "default")
    assert "planted" not in f"{refused.value!r} {refused.value.__cause__!r}"
    assert refused.value.__suppress_context__
