"""Reading entry points from registries: real ones that want a login, and hostile ones."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from image_registry_process import DOCKER, OCI, PASSWORD, USER, Registry, digest_of, registry_with_password
from registry_tokens import registry_with_tokens
from wharfinger_operator import image_registry
from wharfinger_operator.image_registry import ImageError, ImageRegistries
from wharfinger_operator.plan.docker_config import RegistryLogin
from wharfinger_operator.plan.entry_point import ImageQuestion
from wharfinger_operator.plan.image_reference import parse_reference
from wharfinger_operator.world import EntryPoint

CONFIG = {"Entrypoint": ["/server", "--stdio"], "Cmd": ["--quiet"], "WorkingDir": "/srv"}
FOUND = EntryPoint(("/server", "--stdio"), ("--quiet",))


def question(image: str, *logins: tuple[str, str], insecure: bool = True) -> ImageQuestion:
    reference = parse_reference(image)
    assert reference
    return ImageQuestion(image, reference, insecure, tuple(RegistryLogin(reference.host, "", *login) for login in logins), "basis")


@pytest.fixture
async def registries() -> AsyncIterator[ImageRegistries]:
    made = ImageRegistries()
    yield made
    await made.close()


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    async with registry_with_password(tmp_path) as running:
        yield running


@pytest.mark.requirement("REG-4", "ORC-4")
@pytest.mark.parametrize("family", [OCI, DOCKER], ids=["oci", "docker"])
async def test_the_entry_point_of_a_private_image_is_read_with_its_login(
    family: str, registry: Registry, registries: ImageRegistries
) -> None:
    digest = await registry.push("acme/server", "1", CONFIG, family)

    for image in (f"{registry.host}/acme/server:1", f"{registry.host}/acme/server@{digest}"):
        assert await registries.entry_point(question(image, ("other", "wrong"), (USER, PASSWORD))) == FOUND


@pytest.mark.parametrize("family", [OCI, DOCKER], ids=["oci", "docker"])
async def test_of_an_index_the_own_architecture_counts(family: str, registry: Registry, registries: ImageRegistries) -> None:
    parts = [
        (architecture, await registry.push("acme/server", architecture, {"Entrypoint": [architecture]}, family, architecture))
        for architecture in ("arm64", "amd64")
    ]
    await registry.push_index("acme/server", "1", parts, family)

    found = await registries.entry_point(question(f"{registry.host}/acme/server:1", (USER, PASSWORD)))

    assert found.entrypoint == (registries.architectures[0],)


@pytest.mark.parametrize(
    ("image", "logins", "words"),
    [
        ("acme/server:1", (), "wants a login: name a pull Secret"),
        ("acme/server:1", ((USER, "wrong"),), "refuses the login of the pull Secrets"),
        ("acme/server:2", ((USER, PASSWORD),), "does not have it"),
    ],
)
async def test_what_a_registry_refuses_is_said_with_what_to_do(
    image: str, logins: tuple[tuple[str, str], ...], words: str, registry: Registry, registries: ImageRegistries
) -> None:
    await registry.push("acme/server", "1", CONFIG)

    with pytest.raises(ImageError, match=words):
        await registries.entry_point(question(f"{registry.host}/{image}", *logins))


@pytest.mark.requirement("REG-4", "ORC-4")
async def test_a_registry_with_a_token_server_gets_a_token_for_pulling_from_this_repository(
    tmp_path: Path, registries: ImageRegistries
) -> None:
    async with registry_with_tokens(tmp_path, "acme/server") as (registry, tokens):
        await registry.push("acme/server", "1", CONFIG)
        image = f"{registry.host}/acme/server:1"

        assert await registries.entry_point(question(image, (USER, PASSWORD))) == FOUND
        with pytest.raises(ImageError, match="wants a login"):
            await registries.entry_point(question(image))
        with pytest.raises(ImageError, match="refuses the login"):
            await registries.entry_point(question(image, (USER, "wrong")))

    assert tokens.asked[0] == {"scope": "repository:acme/server:pull", "service": "test-service"}


async def test_a_public_image_behind_a_token_server_needs_no_login(tmp_path: Path, registries: ImageRegistries) -> None:
    async with registry_with_tokens(tmp_path, "public/server") as (registry, _):
        await registry.push("public/server", "1", CONFIG)

        assert await registries.entry_point(question(f"{registry.host}/public/server:1")) == FOUND


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes([web.get("/{path:.*}", handler)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


CONTENT = json.dumps({"config": CONFIG}).encode()
MANIFEST = json.dumps({"config": {"digest": digest_of(CONTENT)}}).encode()


async def test_a_login_does_not_follow_a_redirect_to_another_host(registries: ImageRegistries) -> None:
    seen: list[str | None] = []

    async def store(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(body=CONTENT)

    async with serving(store) as elsewhere:

        async def own(request: web.Request) -> web.Response:
            if "Authorization" not in request.headers:
                return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
            if "/blobs/" in request.path:
                return web.Response(status=307, headers={"Location": f"http://{elsewhere}/blob"})
            return web.Response(body=MANIFEST)

        async with serving(own) as host:
            assert await registries.entry_point(question(f"{host}/a/b:1", (USER, PASSWORD))) == FOUND

    assert seen == [None]


async def test_a_registry_may_not_lead_to_a_place_without_https(registries: ImageRegistries) -> None:
    async def own(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://192.0.2.1/blob"})

    async with serving(own) as host:
        with pytest.raises(ImageError, match="leads to a place without https"):
            await registries.entry_point(question(f"{host}/a/b:1"))


async def test_a_registry_is_spoken_to_over_https_unless_it_is_listed(registries: ImageRegistries) -> None:
    asked: list[str] = []

    async def own(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=MANIFEST)

    async with serving(own) as host:
        with pytest.raises(ImageError, match="cannot be reached"):
            await registries.entry_point(question(f"{host}/a/b:1", (USER, PASSWORD), insecure=False))

    assert asked == []


def answering(status: int = 200, body: bytes = b"", **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return handler


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (answering(body=b"x" * (image_registry.MANIFEST_BYTES + 1)), "more than"),
        (answering(body=b"[" * 100_000), "no JSON object"),
        (answering(body=b"\xff\xfe"), "no JSON object"),
        (answering(body=b'{"manifests": [{"platform": null}, 7]}'), "not made for Linux"),
        (answering(body=b'{"schemaVersion": 1}'), "has no configuration"),
        (answering(body=b'{"config": {"digest": "../../etc"}}'), "without a usable digest"),
        (answering(body=json.dumps({"config": {"digest": f"sha256:{64 * '0'}"}}).encode()), "its digest is another"),
        (answering(302, Location="/v2/again"), "redirects more than"),
        (answering(302, Location="http://[::1"), "does not speak the protocol"),
        (answering(302, Location="file:///etc/passwd"), "without https"),
        (answering(401, WWW_Authenticate='Bearer realm="http://192.0.2.1/token"'), "without https"),
        (answering(401, WWW_Authenticate='Bearer realm="http://[::1"'), "refuses the login"),
        (answering(401, WWW_Authenticate="\\\\,,=,Negotiate"), "refuses the login"),
        (answering(429), "asked too often"),
        (answering(503), "HTTP status 503"),
    ],
)
async def test_a_hostile_registry_gets_a_message_and_no_more(handler: Handler, words: str, registries: ImageRegistries) -> None:
    async with serving(handler) as host:
        with pytest.raises(ImageError, match=words) as caught:
            await registries.entry_point(question(f"{host}/a/b:1", (USER, PASSWORD)))

    assert PASSWORD not in str(caught.value)


async def test_a_registry_that_never_ends_is_given_up(registries: ImageRegistries, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    monkeypatch.setattr(image_registry, "SECONDS", 0.2)
    async with serving(silent) as host:
        with pytest.raises(ImageError, match="did not answer within"):
            await registries.entry_point(question(f"{host}/a/b:1"))
