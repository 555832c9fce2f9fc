"""What kopf's session overhears, and what it spares kopf, in front of a server over HTTP."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from wharfinger_cluster.connection import Login
from wharfinger_operator.kopf_session import SILENT, DeadWatchError, kopf_session

EVENT = '{"type":"%s","object":{"metadata":{"namespace":"a","name":"%s","resourceVersion":"%d"}}}'
ITEM = '{"metadata":{"namespace":"a","name":"%s","resourceVersion":"%d"}}'
PATH = "/apis/wharfinger.dev/v1alpha1/mcpinstallations"


class Scene:
    """A session and the server behind it, which answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        self.known: dict[tuple[str, str], int] = {}
        self.now = 0.0
        self.listed: list[str] = []
        self.credentials: list[str] = []
        self.server: str
        self.session: aiohttp.ClientSession

    async def answer(self, request: web.Request) -> web.Response:
        self.credentials.append(request.headers.get("Authorization", ""))
        return web.Response(status=self.status, headers={"Retry-After": "86400"}, body=self.body)

    def knows(self, plural: str, namespace: str, name: str, version: int) -> bool:
        assert plural == "mcpinstallations"
        return self.known.get((namespace, name), 0) >= version

    async def get(self, **query: str) -> int:
        async with self.session.get(f"{self.server}{PATH}", params=query) as response:
            return response.status

    async def watched(self, since: str = "1") -> list[str]:
        """Return the lines of a watch, as kopf reads them."""
        query = {"watch": "true", "resourceVersion": since}
        async with self.session.get(f"{self.server}{PATH}", params=query) as response:
            return b"".join([chunk async for chunk in response.content.iter_chunked(1024)]).decode().splitlines()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.server = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def authorization() -> str:
        return "Bearer x"

    login = Login(server=made.server, authorization=authorization)
    kopfs = kopf_session(login, made.listed.append, made.knows, asyncio.get_running_loop(), lambda: made.now)
    made.session = kopfs.aiohttp_session
    yield made
    await made.session.close()
    await runner.cleanup()


async def test_a_list_is_told_of_once_however_many_pages_it_has(scene: Scene) -> None:
    await scene.get(limit="500")
    await scene.get(limit="500", **{"continue": "x"})
    await scene.get(watch="true", resourceVersion="5")

    assert scene.listed == ["mcpinstallations"]


async def test_a_list_that_was_refused_is_not_told_of(scene: Scene) -> None:
    scene.status = 503

    assert await scene.get(limit="500") == 503
    assert scene.listed == []


async def test_the_credential_is_that_of_the_login(scene: Scene) -> None:
    await scene.get()

    assert scene.credentials == ["Bearer x"]


@pytest.mark.parametrize("status", [401, 429])
async def test_an_answer_that_kopf_would_not_bear_is_a_connection_error(status: int, scene: Scene) -> None:
    scene.status = status

    with pytest.raises(aiohttp.ClientConnectionError, match=str(status)):
        await scene.get(watch="true")


async def test_a_watch_that_moved_on_by_no_version_is_dead(scene: Scene) -> None:
    await scene.get(watch="true", resourceVersion="5")
    scene.now += SILENT

    with pytest.raises(DeadWatchError):
        await scene.get(watch="true", resourceVersion="5")


async def test_a_watch_that_was_cut_or_moved_on_is_not_dead(scene: Scene) -> None:
    await scene.get(watch="true", resourceVersion="5")
    scene.now += SILENT - 1
    await scene.get(watch="true", resourceVersion="5")
    scene.now += SILENT

    assert await scene.get(watch="true", resourceVersion="6") == 200


async def test_of_a_watch_kopf_is_told_what_is_not_known_yet(scene: Scene) -> None:
    scene.known = {("a", "known"): 5}
    news = [
        EVENT % ("MODIFIED", "known", 6),
        EVENT % ("DELETED", "known", 5),
        EVENT % ("ADDED", "new", 1),
        '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}',
        '{"type":"ERROR","object":{"code":410}}',
        "<html>",
    ]
    scene.body = "\n".join([EVENT % ("ADDED", "known", 4), *news, EVENT % ("MODIFIED", "known", 5), ""]).encode()

    assert await scene.watched() == news


async def test_a_line_that_was_cut_off_is_passed_on(scene: Scene) -> None:
    scene.known = {("a", "known"): 5}
    scene.body = (EVENT % ("ADDED", "known", 4)).encode()

    assert await scene.watched() == [EVENT % ("ADDED", "known", 4)]


async def test_of_a_list_kopf_is_told_what_is_not_known_yet(scene: Scene) -> None:
    scene.known = {("a", "known"): 5}
    items = ",".join((ITEM % ("known", 5), ITEM % ("known", 6), ITEM % ("new", 1)))
    scene.body = f'{{"kind":"L","apiVersion":"v1","metadata":{{"resourceVersion":"7","continue":"x"}},"items":[{items}]}}'.encode()
    async with scene.session.get(f"{scene.server}{PATH}") as response:
        found = await response.json(content_type=None)

    assert found["metadata"] == {"resourceVersion": "7", "continue": "x"}
    assert [item["metadata"] for item in found["items"]] == [
        {"namespace": "a", "name": "known", "resourceVersion": "6"},
        {"namespace": "a", "name": "new", "resourceVersion": "1"},
    ]


async def test_a_list_that_cannot_be_read_is_passed_on(scene: Scene) -> None:
    scene.body = b"<html>"
    async with scene.session.get(f"{scene.server}{PATH}") as response:
        assert await response.read() == b"<html>"


async def test_a_watch_in_which_only_known_things_happened_is_not_dead(scene: Scene) -> None:
    scene.known = {("a", "known"): 5}
    scene.body = (EVENT % ("MODIFIED", "known", 5)).encode() + b"\n"
    await scene.watched("5")
    scene.now += SILENT

    assert await scene.watched("5") == []
