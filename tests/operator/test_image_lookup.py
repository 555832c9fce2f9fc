"""Questions about images: one task for all who wait, and none who waits for another."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest

from eventually import eventually
from wharfinger_operator import image_lookup
from wharfinger_operator.image_lookup import ImageLookup
from wharfinger_operator.image_registry import ImageError
from wharfinger_operator.plan.docker_config import RegistryLogin
from wharfinger_operator.plan.entry_point import ImageQuestion
from wharfinger_operator.plan.image_reference import parse_reference
from wharfinger_operator.world import EntryPoint

FOUND = EntryPoint(("/server",))


def question(image: str = "acme/x:1", basis: str = "basis") -> ImageQuestion:
    reference = parse_reference(image)
    assert reference
    return ImageQuestion(image, reference, False, (), basis)


class Registry:
    """Answers as a test says."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.now = 0.0
        self.broken: set[str] = set()
        self.silent: set[str] = set()
        self.lookup = ImageLookup(self.read, lambda namespace, name: self.told.append((namespace, name)), lambda: self.now)

    def has_told(self, count: int) -> bool:
        return len(self.told) >= count

    async def read(self, asked: ImageQuestion) -> EntryPoint:
        self.asked.append(asked.image)
        if asked.image in self.silent:
            await asyncio.Event().wait()
        if asked.image in self.broken:
            raise ImageError("broken")
        return FOUND


@pytest.fixture
async def registry(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Registry]:
    monkeypatch.setattr(image_lookup, "RETRY_BASE", 0.01)
    made = Registry()
    yield made
    await made.lookup.close()


async def test_many_installations_of_one_image_cause_one_question_and_all_are_told(registry: Registry) -> None:
    for number in range(50):
        assert registry.lookup.ask("team", f"i{number:02}", question()) is None

    await eventually(lambda: len(registry.told) == 50)
    answers = {registry.lookup.ask("team", f"i{number:02}", question()) for number in range(50)}

    assert {answer.entry_point for answer in answers if answer} == {FOUND}
    assert registry.asked == ["acme/x:1"]


async def test_a_registry_that_is_silent_holds_up_no_other_image(registry: Registry) -> None:
    registry.silent.add("acme/silent:1")
    registry.lookup.ask("team", "silent", question("acme/silent:1"))
    registry.lookup.ask("team", "other", question())

    await eventually(lambda: ("team", "other") in registry.told)


async def test_a_failure_is_told_once_and_tried_again_until_it_is_none(registry: Registry) -> None:
    registry.broken.add("acme/x:1")
    registry.lookup.ask("team", "a", question())
    await eventually(lambda: len(registry.asked) >= 3)
    failed = registry.lookup.ask("team", "a", question())
    assert failed
    assert (failed.entry_point, failed.message) == (None, "broken")
    assert registry.told == [("team", "a")]

    registry.broken.clear()

    await eventually(lambda: len(registry.told) == 2)
    answer = registry.lookup.ask("team", "a", question())
    assert answer
    assert answer.entry_point == FOUND


async def test_nobody_asks_any_more_when_nobody_waits(registry: Registry) -> None:
    registry.broken.add("acme/x:1")
    registry.lookup.ask("team", "a", question())
    await eventually(lambda: registry.told)
    registry.lookup.ask("team", "a", None)
    asked = len(registry.asked)

    registry.lookup.ask("team", "b", question("acme/y:1"))
    await eventually(lambda: ("team", "b") in registry.told)

    assert registry.asked[asked:] == ["acme/y:1"]


async def test_a_later_installation_has_a_tag_read_anew_and_a_digest_not(registry: Registry) -> None:
    digest = f"acme/x@sha256:{64 * '1'}"
    for image in ("acme/x:1", digest):
        registry.lookup.ask("team", image, question(image))
    await eventually(lambda: len(registry.told) == 2)
    for image in ("acme/x:1", digest):
        registry.lookup.ask("team", image, None)

    registry.now += image_lookup.FRESH + 1

    assert registry.lookup.ask("team", "late", question("acme/x:1")) is None
    assert registry.lookup.ask("team", "later", question(digest)) is not None
    await eventually(lambda: ("team", "late") in registry.told)
    assert registry.asked.count("acme/x:1") == 2


async def test_an_answer_that_is_old_is_used_on_where_the_registry_fails(registry: Registry) -> None:
    registry.lookup.ask("team", "a", question())
    await eventually(lambda: registry.told)
    registry.now += image_lookup.FRESH + 1
    registry.broken.add("acme/x:1")
    registry.lookup.ask("team", "b", question())

    await eventually(lambda: ("team", "b") in registry.told)
    answer = registry.lookup.ask("team", "b", question())

    assert answer
    assert answer.entry_point == FOUND


async def test_what_nobody_waits_for_is_kept_only_so_far(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_lookup, "KEPT", 3)
    for number in range(10):
        registry.lookup.ask("team", "a", question(f"acme/x:{number}"))
        await eventually(partial(registry.has_told, number + 1))

    registry.lookup.ask("team", "a", question("acme/x:0"))
    await eventually(lambda: len(registry.told) > 10)

    assert registry.asked.count("acme/x:0") == 2


def test_a_question_shows_no_login_and_another_login_is_another_question() -> None:
    asked = replace(question(), logins=(RegistryLogin("docker.io", "", "robot", "planted"),))

    assert "planted" not in repr(asked)
    assert asked.fingerprint != question().fingerprint
