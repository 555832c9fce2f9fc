"""While a server is just being asked for its tools, nobody is told that it has not been asked yet; nor for longer than a moment."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from eventually import eventually
from wharfinger_crds.connection import Connection
from wharfinger_crds.installation import ServerInfo
from wharfinger_crds.tool_definitions import definitions_of
from wharfinger_operator import discover
from wharfinger_operator.discover import Answer, Discoverer, DiscoveryError, Question

pytestmark = pytest.mark.requirement("INS-5")

KEY = ("team-a", "x")
FOUND = Answer(definitions_of([{"name": "tool"}]), ServerInfo(name="s", version="1", protocol_version="2026-07-28"))


class Scene:
    """A discoverer, whose server answers when it is told to."""

    def __init__(self) -> None:
        self.looked: list[tuple[str, str]] = []
        self.answers: asyncio.Queue[Answer | DiscoveryError] = asyncio.Queue()
        self.discoverer = Discoverer(self._ask, self._look)

    def ask(self, name: str = "x") -> None:
        connection = Connection(namespace="team-a", name=name, uid="u", entry="e", environment="prod", url="http://x")
        self.discoverer.ask(Question(connection, 1, interval=3600, timeout=60))

    async def _ask(self, connection: Connection, timeout: float) -> Answer:  # noqa: ASYNC109 - the discoverer's
        answer = await self.answers.get()
        if isinstance(answer, DiscoveryError):
            raise answer
        return answer

    def _look(self, namespace: str, name: str) -> None:
        self.looked.append((namespace, name))


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    await made.discoverer.close()


async def test_what_is_just_being_asked_is_told_with_the_answer(scene: Scene) -> None:
    scene.ask()

    assert scene.discoverer.withholds(*KEY)
    scene.answers.put_nowait(FOUND)
    await eventually(lambda: scene.looked == [KEY])
    assert not scene.discoverer.withholds(*KEY)


async def test_where_no_answer_comes_it_is_told_without(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "SOON", 0.05)
    scene.ask()

    assert scene.discoverer.withholds(*KEY)
    await eventually(lambda: scene.looked == [KEY])
    assert not scene.discoverer.withholds(*KEY)


async def test_where_nothing_was_withheld_nobody_looks_again_without_an_answer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "SOON", 0.05)
    scene.ask()
    scene.ask(name="later")

    assert scene.discoverer.withholds("team-a", "later")
    await eventually(lambda: scene.looked == [("team-a", "later")])
    assert not scene.discoverer.withholds(*KEY)


async def test_an_answer_that_is_the_same_as_before_is_told_where_something_waits_for_it(scene: Scene) -> None:
    scene.ask()
    scene.answers.put_nowait(FOUND)
    await eventually(lambda: scene.looked == [KEY])
    scene.discoverer.pause(*KEY)
    scene.ask()

    assert scene.discoverer.withholds(*KEY)
    scene.answers.put_nowait(FOUND)
    await eventually(lambda: scene.looked == [KEY, KEY])


async def test_a_first_failure_does_not_end_the_waiting_for_an_answer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "SOON", 0.3)
    scene.ask()
    scene.answers.put_nowait(DiscoveryError("not there yet"))

    assert scene.discoverer.withholds(*KEY)
    await eventually(lambda: scene.looked == [KEY])
    assert scene.discoverer.result(*KEY) is None


@pytest.mark.parametrize("end", [Discoverer.pause, Discoverer.forget])
async def test_nothing_is_withheld_for_who_is_not_asked_any_more(scene: Scene, end: object) -> None:
    assert not scene.discoverer.withholds(*KEY)
    scene.ask()
    end(scene.discoverer, *KEY)  # type: ignore[operator]

    assert not scene.discoverer.withholds(*KEY)
