"""Servers that announce changes are asked again at once; the others are polled, and none is hammered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from announcing_server import AnnouncingServer
from eventually import eventually
from own_address import rules
from recording_server import Http, RecordingServer
from wharfinger_crds.connection import Connection
from wharfinger_operator.ask_server import ServerAsker
from wharfinger_operator.discover import SETTLE, Discoverer, Question, settling
from wharfinger_operator.listen import Listeners, Patience, StreamError

pytestmark = pytest.mark.requirement("INS-5")

KEY = ("team-a", "x")


def connection(url: str, name: str = "x") -> Connection:
    return Connection(namespace="team-a", name=name, uid="u", entry="e", environment="prod", url=url, egress=rules())


async def question(http: Http, server: RecordingServer) -> Question:
    endpoint = await http(server)
    return Question(connection(f"http://{endpoint.host}{endpoint.path}"), revision=1, interval=3600, timeout=10)


@pytest.fixture
async def discoverer(asker: ServerAsker) -> AsyncIterator[Discoverer]:
    made = Discoverer(asker.ask, lambda namespace, name: None, Listeners(asker.listen))
    yield made
    await made.close()


def named(count: int) -> list[dict[str, Any]]:
    return [{"name": f"tool-{number}"} for number in range(count)]


def known(discoverer: Discoverer) -> int:
    found = discoverer.result(*KEY)
    return len(found.definitions.digests) if found and found.definitions else 0


async def test_a_change_that_a_server_announces_is_known_at_once_and_several_are_one(discoverer: Discoverer, http: Http) -> None:
    server = AnnouncingServer(named(1))
    discoverer.ask(await question(http, server))
    # The second list is for what may have changed before the stream was open.
    await eventually(lambda: server.lists == 2 and len(server.streams) == 1)

    await server.change(named(2), times=50)

    await eventually(lambda: known(discoverer) == 2)
    assert server.lists == 3


async def test_who_is_not_asked_any_more_is_not_listened_to_either(discoverer: Discoverer, http: Http) -> None:
    server = AnnouncingServer(named(1))
    discoverer.ask(await question(http, server))
    await eventually(lambda: len(server.streams) == 1)

    discoverer.pause(*KEY)

    await eventually(lambda: not server.streams)


async def test_a_broken_stream_is_opened_again_and_what_it_missed_is_asked_for(asker: ServerAsker, http: Http) -> None:
    server = AnnouncingServer(named(1))
    discoverer = Discoverer(asker.ask, lambda namespace, name: None, Listeners(asker.listen, patience=Patience(first=0.01)))
    discoverer.ask(await question(http, server))
    await eventually(lambda: server.lists == 2 and len(server.streams) == 1)

    ((request, _),) = server.streams
    server.tools = named(2)
    assert request.transport is not None
    request.transport.abort()

    await eventually(lambda: known(discoverer) == 2)
    await discoverer.close()


def test_announcements_in_a_row_are_asked_about_more_and_more_slowly() -> None:
    assert [settling(row) / SETTLE for row in (0, 1, 2, 10)] == [1, 2, 4, 1024]
    assert settling(10_000) == settling(16)


def test_streams_that_end_soon_are_opened_more_and_more_slowly() -> None:
    assert [Patience().pause(short) for short in (0, 1, 2, 10_000)] == [1, 2, 4, 300]


class Streams:
    """Counts who is listened to; each stream ends as it is told to."""

    def __init__(self, *ends: bool | Exception) -> None:
        self.ends = list(ends)
        self.opened: list[str] = []
        self.open = 0

    async def listen(self, connection: Connection, on_change: Callable[[], None]) -> bool:
        self.opened.append(connection.name)
        if self.ends:
            end = self.ends.pop(0)
            if isinstance(end, Exception):
                raise end
            return end
        self.open += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.open -= 1
        return True


def follow(listeners: Listeners, name: str, fingerprint: str = "f") -> None:
    listeners.follow(("team-a", name), connection("http://x/mcp", name), fingerprint, lambda: None)


@contextlib.asynccontextmanager
async def listening(streams: Streams, limit: int = 10) -> AsyncIterator[Listeners]:
    listeners = Listeners(streams.listen, limit, Patience(first=0.001, longest=0.001))
    yield listeners
    await listeners.close()
    assert streams.open == 0


async def test_a_server_without_a_stream_is_tried_once_until_its_connection_changes() -> None:
    streams = Streams(False, False)
    async with listening(streams) as listeners:
        follow(listeners, "a")
        await eventually(lambda: streams.opened == ["a"])
        for _ in range(3):
            follow(listeners, "a")
            await asyncio.sleep(0)
        assert streams.opened == ["a"]

        follow(listeners, "a", "another")

        await eventually(lambda: streams.opened == ["a", "a"])


async def test_whatever_ends_a_stream_it_is_opened_again() -> None:
    streams = Streams(True, StreamError("broken"), ValueError("not ours"))
    async with listening(streams) as listeners:
        follow(listeners, "a")

        await eventually(lambda: streams.open == 1)
        assert streams.opened == ["a"] * 4


async def test_the_number_of_streams_is_bounded_and_a_free_place_is_taken() -> None:
    streams = Streams()
    async with listening(streams, limit=2) as listeners:
        for name in ("a", "b", "c"):
            follow(listeners, name)
        await eventually(lambda: streams.open == 2)
        assert streams.opened == ["a", "b"]

        listeners.drop(("team-a", "a"))
        await eventually(lambda: streams.open == 1)
        follow(listeners, "c")

        await eventually(lambda: streams.opened == ["a", "b", "c"])
