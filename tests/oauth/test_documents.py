"""Clients with a metadata document: what is kept, and what strangers can make this platform do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from document_host import HOST, DocumentHost
from eventually import eventually
from wharfinger_oauth.client import Client
from wharfinger_oauth.documents import BURST, DEFAULT_SECONDS, MAX_SECONDS, MIN_SECONDS, Documents
from wharfinger_oauth.unavailable import Unavailable

pytestmark = pytest.mark.requirement("AUT-1")

ID = "https://apps.example/client.json"
DOCUMENT: dict[str, Any] = {"client_id": ID, "client_name": "Agent", "redirect_uris": ["http://localhost/callback"]}
JWKS = {"keys": [{"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "kid": "1"}]}


MOST = 20


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """Documents, the site they are on, and what was reported."""

    def __init__(self, site: DocumentHost) -> None:
        self.site, self.clock = site, Clock()
        self.reported: list[tuple[str, str]] = []
        self.fetcher = site.fetcher(seconds=2.0)
        self.documents = Documents(self.fetcher, self.clock, lambda host, why: self.reported.append((host, why)), MOST)

    async def is_found(self, client_id: str) -> bool:
        return isinstance(await self.documents.find(client_id), Client)


@pytest.fixture
async def scene(site: DocumentHost) -> AsyncIterator[Scene]:
    found = Scene(site)
    async with found.fetcher:
        yield found
        await found.documents.close()


async def test_a_document_is_fetched_once_however_many_ask_at_once(scene: Scene) -> None:
    client_id = scene.site.document("/client.json")
    found = await asyncio.gather(*(scene.documents.find(client_id) for _ in range(20)))
    assert [one.name for one in found if isinstance(one, Client)] == ["Agent"] * 20
    assert await scene.is_found(client_id)
    assert len(scene.site.asked) == 1


async def test_whoever_gives_up_does_not_take_the_answer_from_the_others(scene: Scene) -> None:
    go = asyncio.Event()
    client_id = scene.site.document("/client.json")
    document = scene.site.answers["/client.json"]

    async def wait(request: web.Request) -> web.StreamResponse:
        await go.wait()
        return await document(request)

    scene.site.answers["/client.json"] = wait
    one, other = (asyncio.create_task(scene.documents.find(client_id)) for _ in range(2))
    await eventually(lambda: scene.site.asked)
    one.cancel()
    go.set()
    assert await other is not None
    assert len(scene.site.asked) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    (
        ({}, DEFAULT_SECONDS),
        ({"cache_control": "max-age=600"}, 600),
        ({"cache_control": "public, Max-Age=600"}, 600),
        ({"cache_control": "max-age=1"}, MIN_SECONDS),
        ({"cache_control": "max-age=99999999999999999999"}, MAX_SECONDS),
        ({"cache_control": "max-age=-1"}, DEFAULT_SECONDS),
        ({"cache_control": "no-store"}, MIN_SECONDS),
        ({"cache_control": "no-cache, max-age=600"}, MIN_SECONDS),
        ({"date": "Fri, 27 Nov 2026 08:00:00 GMT", "expires": "Fri, 27 Nov 2026 08:10:00 GMT"}, 600),
        ({"date": "Fri, 27 Nov 2026 08:00:00 GMT", "expires": "Fri, 27 Nov 2036 08:10:00 GMT"}, MAX_SECONDS),
        ({"expires": "0"}, MIN_SECONDS),
    ),
)
async def test_a_document_is_kept_for_as_long_as_its_host_says_within_bounds(scene: Scene, headers: dict[str, Any], seconds: float) -> None:
    client_id = scene.site.document("/client.json")
    scene.site.put("/client.json", DOCUMENT | {"client_id": client_id}, **headers)
    assert await scene.is_found(client_id)
    scene.clock.now += seconds - 1
    assert await scene.is_found(client_id)
    assert len(scene.site.asked) == 1
    scene.clock.now += 2
    assert await scene.is_found(client_id)
    assert len(scene.site.asked) == 2


async def test_a_changed_document_counts_when_the_old_one_is_too_old(scene: Scene) -> None:
    client_id = scene.site.document("/client.json")
    assert await scene.is_found(client_id)
    scene.site.document("/client.json", redirect_uris=["https://evil.example/callback"])
    before = await scene.documents.find(client_id)
    scene.clock.now += DEFAULT_SECONDS + 1
    after = await scene.documents.find(client_id)
    assert isinstance(before, Client)
    assert isinstance(after, Client)
    assert (before.redirect_uris, after.redirect_uris) == (("http://localhost/callback",), ("https://evil.example/callback",))


@pytest.mark.parametrize("status", (404, 410, 302, 204, 206, 500))
async def test_a_failure_is_not_kept(scene: Scene, status: int) -> None:
    client_id = scene.site.document("/client.json")
    scene.site.put("/client.json", DOCUMENT | {"client_id": client_id}, status)
    assert not await scene.is_found(client_id)
    assert scene.reported == [(HOST, f"status {status}")]
    scene.site.document("/client.json")
    assert await scene.is_found(client_id)


async def test_whether_there_is_such_a_client_nobody_can_tell_while_its_host_does_not_answer(scene: Scene) -> None:
    client_id = scene.site.document("/client.json")
    scene.site.addresses = ["10.0.0.1"]
    unreachable = await scene.documents.find(client_id)
    scene.site.addresses = ["127.0.0.1"]
    scene.site.put("/client.json", {}, 503)
    failing = await scene.documents.find(client_id)
    for number in range(int(BURST)):
        await scene.documents.find(scene.site.url(f"/{number}.json"))
    flooded = await scene.documents.find(client_id)
    assert [type(one) for one in (unreachable, failing, flooded)] == [Unavailable] * 3
    assert [why for _, why in scene.reported if "too many" in why]
    scene.site.document("/client.json")
    assert isinstance(flooded, Unavailable)
    scene.clock.now += flooded.retry_after
    assert await scene.is_found(client_id)


async def test_an_invalid_document_is_not_kept(scene: Scene) -> None:
    client_id = scene.site.document("/client.json", client_secret="s3cret")
    assert not await scene.is_found(client_id)
    scene.site.document("/client.json")
    assert await scene.is_found(client_id)


async def test_a_document_that_is_gone_does_not_count_any_more_but_one_whose_host_is_away_does_for_a_day(scene: Scene) -> None:
    away, gone = scene.site.document("/away.json"), scene.site.document("/gone.json")
    assert await scene.is_found(away)
    assert await scene.is_found(gone)
    scene.site.put("/away.json", {}, 503)
    del scene.site.answers["/gone.json"]
    scene.clock.now += DEFAULT_SECONDS + 1
    assert await scene.is_found(away)
    assert not await scene.is_found(gone)
    scene.clock.now += MAX_SECONDS
    assert not await scene.is_found(away)


async def test_a_document_of_more_than_5_kib_is_none(scene: Scene) -> None:
    assert await scene.is_found(scene.site.document("/most.json", x="a" * 4900))
    assert await scene.documents.find(scene.site.document("/more.json", x="a" * 5120)) is None
    assert scene.reported == [(HOST, "more than 5120 bytes")]


async def test_keys_that_are_elsewhere_come_with_the_document_through_the_same_guard(scene: Scene) -> None:
    keys = scene.site.put("/jwks.json", JWKS)
    client_id = scene.site.document("/client.json", token_endpoint_auth_method="private_key_jwt", jwks_uri=keys)
    contents = {"client_id": client_id, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": keys}
    scene.site.put("/client.json", DOCUMENT | contents, cache_control="max-age=86400")
    client = await scene.documents.find(client_id)
    assert isinstance(client, Client)
    assert (client.method, client.keys) == ("private_key_jwt", JWKS)
    assert scene.site.asked == ["/client.json", "/jwks.json"]
    scene.clock.now += DEFAULT_SECONDS - 1
    assert await scene.is_found(client_id)
    assert len(scene.site.asked) == 2
    scene.clock.now += 2
    assert await scene.is_found(client_id)
    assert len(scene.site.asked) == 4
    scene.site.addresses = ["10.0.0.1"]
    scene.clock.now += MAX_SECONDS + 1
    assert not await scene.is_found(client_id)
    assert len(scene.site.asked) == 4


async def test_a_host_is_asked_a_few_times_at_once_and_then_seldom_whatever_ids_are_made_up(scene: Scene) -> None:
    ids = [scene.site.url(f"/{number}.json") for number in range(50)]
    for client_id in ids:
        assert not await scene.is_found(client_id)
    assert len(scene.site.asked) == BURST
    assert scene.reported[-1] == (HOST, "too many fetches of this host")
    scene.clock.now += 10
    good = scene.site.document("/client.json")
    assert await scene.is_found(good)


async def test_documents_that_are_kept_are_bounded_and_those_used_last_stay(scene: Scene) -> None:
    ids = [scene.site.document(f"/{number}.json") for number in range(MOST + 1)]
    for number, path in enumerate(ids):
        scene.clock.now += 6
        scene.site.document(f"/{number}.json")
        scene.site.put(f"/{number}.json", DOCUMENT | {"client_id": path}, cache_control="max-age=86400")
        assert await scene.is_found(path)
        assert await scene.is_found(ids[0])
    assert len(scene.site.asked) == MOST + 1
    scene.clock.now += 6
    assert await scene.is_found(ids[1])
    assert len(scene.site.asked) == MOST + 2


@pytest.mark.parametrize("client_id", ("", "dcr1.a", "http://apps.example/client.json", "https://apps.example/", "file:///etc/passwd"))
async def test_for_what_is_no_id_nothing_is_fetched(scene: Scene, client_id: str) -> None:
    assert not await scene.is_found(client_id)
    assert scene.site.resolved == []
