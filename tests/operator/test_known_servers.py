"""A program that begins looks at everything first: servers of which it is known what they offer are asked one after the other."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from eventually import eventually
from pinned_server import PinnedServer, tool
from wharfinger_crds.connection import Connection
from wharfinger_crds.installation import ServerInfo
from wharfinger_crds.tool_definitions import definitions_of
from wharfinger_operator import discover
from wharfinger_operator.discover import Answer, Discoverer, Question
from wharfinger_operator.plan.tools import is_told

pytestmark = pytest.mark.requirement("INS-5")


class Scene:
    """A discoverer whose servers answer, and which of them were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.discoverer = Discoverer(self._ask, lambda *_: None)

    def ask(self, name: str, *, known: bool, url: str = "http://x") -> None:
        connection = Connection(namespace="team-a", name=name, uid="u", entry="e", environment="prod", url=url)
        self.discoverer.ask(Question(connection, 1, interval=3600, timeout=60), known=known)

    async def _ask(self, connection: Connection, timeout: float) -> Answer:  # noqa: ASYNC109 - the discoverer's
        self.asked.append(connection.name)
        return Answer(definitions_of([{"name": "tool"}]), ServerInfo(name="s", version="1", protocol_version="2026-07-28"))


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(discover, "KNOWN_A_SECOND", 1 / 3600)
    made = Scene()
    yield made
    await made.discoverer.close()


async def test_the_first_is_asked_at_once_and_the_next_in_its_turn_and_who_is_not_known_before(scene: Scene) -> None:
    for name in ("first", "second"):
        scene.ask(name, known=True)
    scene.ask("new", known=False)

    await eventually(lambda: set(scene.asked) == {"first", "new"})
    assert not scene.discoverer.withholds("team-a", "second")


async def test_all_have_their_turn(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "KNOWN_A_SECOND", 1000)
    names = [f"server-{number}" for number in range(50)]
    for name in names:
        scene.ask(name, known=True)

    await eventually(lambda: scene.asked == names)


@pytest.mark.parametrize(("known", "url"), [(False, "http://x"), (True, "http://y")])
async def test_who_waits_is_asked_at_once_where_it_is_not_known_any_more_or_is_another_question(
    scene: Scene, known: bool, url: str
) -> None:
    for name in ("first", "second"):
        scene.ask(name, known=True)
    scene.ask("second", known=True)
    await eventually(lambda: scene.asked == ["first"])

    scene.ask("second", known=known, url=url)

    await eventually(lambda: scene.asked == ["first", "second"])


def test_what_a_server_offers_is_known_where_it_was_asked_as_it_is_now_and_the_list_is_stored() -> None:
    server = PinnedServer()
    assert not is_told(server.world)
    server.lists([tool("a")])
    server.restart()
    assert is_told(server.world)

    installation, entry = server.world.installation, server.world.entry
    assert installation is not None
    assert entry is not None
    newer = {"generation": 7}
    for other in (
        replace(server.world, stored={}),
        replace(server.world, entry=None),
        replace(server.world, installation=None),
        replace(server.world, entry=entry.model_copy(update={"metadata": entry.metadata.model_copy(update=newer)})),
        replace(server.world, installation=installation.model_copy(update={"metadata": installation.metadata.model_copy(update=newer)})),
    ):
        assert not is_told(other)
