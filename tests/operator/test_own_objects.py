"""A copy of our objects, where answers and events cross."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from wharfinger_cluster.client import Cluster, Page
from wharfinger_cluster.resource import Object, Scope
from wharfinger_crds.kinds import INSTALLATION
from wharfinger_operator.own_objects import OwnObjects

SPEC = {"entryRef": {"name": "x"}, "owner": {"team": "x"}}


def installation(name: str, version: int) -> Object:
    return {"metadata": {"name": name, "namespace": "a", "uid": name, "resourceVersion": str(version)}, "spec": SPEC}


class SlowCluster:
    """Answers with what was there when it was asked, as late as the test wants."""

    def __init__(self, *objects: Object) -> None:
        self.objects = objects
        self.asked, self.answers = asyncio.Event(), asyncio.Event()

    async def pages(self, *_: Any, **__: Any) -> AsyncIterator[Page]:
        found = self.objects
        self.asked.set()
        await self.answers.wait()
        yield Page(list(found), "9")

    async def get(self, *_: Any) -> Object:
        (found,) = self.objects
        self.asked.set()
        await self.answers.wait()
        return found


def copy_of(cluster: SlowCluster) -> OwnObjects:
    return OwnObjects(cast(Cluster, cluster), {INSTALLATION: Scope()}, lambda *_: None)


@pytest.mark.requirement("INS-8")
@pytest.mark.parametrize("read", ["list", "look up"])
async def test_what_is_deleted_while_an_answer_is_on_its_way_stays_deleted(read: str) -> None:
    cluster = SlowCluster(installation("x", 5))
    copy = copy_of(cluster)
    reading = asyncio.create_task(copy.load() if read == "list" else copy.look_up(INSTALLATION, "x", "a"))
    await cluster.asked.wait()

    copy.take(INSTALLATION, "DELETED", installation("x", 7))
    cluster.answers.set()

    assert await reading in {None, False}
    assert copy.get(INSTALLATION, "x", "a") is None


async def test_what_was_made_again_meanwhile_is_taken_in() -> None:
    cluster = SlowCluster(installation("x", 8))
    copy = copy_of(cluster)
    reading = asyncio.create_task(copy.load())
    await cluster.asked.wait()

    copy.take(INSTALLATION, "DELETED", installation("x", 7))
    cluster.answers.set()
    await reading

    assert copy.get(INSTALLATION, "x", "a") is not None


@pytest.mark.requirement("INS-8")
async def test_what_is_deleted_before_our_write_is_answered_stays_deleted() -> None:
    copy = copy_of(SlowCluster())
    copy.take(INSTALLATION, "ADDED", installation("x", 5))

    copy.take(INSTALLATION, "DELETED", installation("x", 7))
    copy.took(INSTALLATION, installation("x", 6))
    assert copy.get(INSTALLATION, "x", "a") is None

    copy.take(INSTALLATION, "ADDED", installation("x", 8))
    copy.took(INSTALLATION, installation("x", 9))
    assert copy.get(INSTALLATION, "x", "a").metadata.resource_version == "9"
