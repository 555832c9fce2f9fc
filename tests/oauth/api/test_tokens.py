"""Codes and refresh tokens over three replicas and one real API server: each is used once, whoever asks where."""

import asyncio
from collections import Counter

import httpx
import pytest

import authorization_scene
from authorization_scene import REDIRECT, Client, Scene
from faulty_proxy import FaultyProxy


def outcomes(answers: list[httpx.Response]) -> Counter[str]:
    """Count what was answered."""
    return Counter("ok" if answer.status_code == 200 else answer.json()["error"] for answer in answers)


@pytest.mark.requirement("AUT-1", "AUT-6")
async def test_of_many_who_redeem_one_code_at_three_replicas_at_once_one_succeeds_and_the_grant_ends(replicas: Scene) -> None:
    async with authorization_scene.client(replicas) as client:
        code = (await client.code())["code"]
        bases = [one.url for one in replicas.replicas] * 3
        answers = await asyncio.gather(*(client.redeem(code, base=base) for base in bases))
        assert outcomes(answers) == {"ok": 1, "invalid_grant": 8}
        won = next(answer.json() for answer in answers if answer.status_code == 200)
        (grant,) = await replicas.grants()
        assert grant["spec"]["revoked"]
        async with asyncio.timeout(5):
            for number in range(3):
                while (await replicas.call(won["access_token"], replica=number)).status_code != 401:  # noqa: ASYNC110 - replicas hear of it by themselves
                    await asyncio.sleep(0.02)
        assert (await client.refresh(won["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.requirement("AUT-1")
async def test_of_many_who_refresh_at_three_replicas_at_once_all_get_the_same_next_token(replicas: Scene) -> None:
    async with authorization_scene.client(replicas) as client:
        token = (await client.tokens())["refresh_token"]
        for _ in range(3):
            answers = await asyncio.gather(*(client.refresh(token, base=one.url) for one in replicas.replicas * 2))
            assert outcomes(answers) == {"ok": 6}
            (token,) = {answer.json()["refresh_token"] for answer in answers}
        (grant,) = await replicas.grants()
        assert grant["status"]["refreshes"] == 3


@pytest.mark.requirement("AUT-1")
async def test_an_old_refresh_token_ends_the_grant(scene: Scene, client: Client) -> None:
    first = await client.tokens()
    second = (await client.refresh(first["refresh_token"])).json()
    third = (await client.refresh(second["refresh_token"])).json()
    assert (await client.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await client.refresh(third["refresh_token"])).json()["error"] == "invalid_grant"
    (grant,) = await scene.grants()
    assert grant["spec"]["revoked"]


async def test_a_fresh_login_counts_at_a_replica_that_has_not_heard_of_it(replicas: Scene) -> None:
    async with authorization_scene.client(replicas) as client:
        code = (await client.code())["code"]
        tokens = (await client.redeem(code, base=replicas.replicas[0].url)).json()
        statuses = await asyncio.gather(*(replicas.call(tokens["access_token"], replica=number) for number in range(3)))
        assert [answer.status_code for answer in statuses] == [200, 200, 200]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:7777/other"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"resource": "http://127.0.0.1:1/v1/mcp/dev.tools"}, "invalid_target"),
        ({"resource": ""}, "invalid_target"),
        ({"client_id": None}, "invalid_client"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"code": "code1.AAAA"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
    ],
    ids=str,
)
async def test_a_code_that_is_redeemed_wrongly_is_not_used_up(
    scene: Scene, client: Client, changes: dict[str, str | None], error: str
) -> None:
    code = (await client.code())["code"]
    wrong = await client.redeem(**{"code": code, **changes})  # type: ignore[arg-type]
    assert wrong.json()["error"] == error
    assert wrong.status_code == (401 if error == "invalid_client" else 400)
    assert wrong.headers["Cache-Control"] == "no-store"
    assert not await scene.grants()
    assert (await client.redeem(code)).status_code == 200


@pytest.mark.parametrize("resource", ["", "https://evil.example/v1/mcp/a.b"])
async def test_a_refresh_for_another_resource_or_an_empty_one_gives_nothing_and_uses_nothing_up(
    scene: Scene, client: Client, resource: str
) -> None:
    first = (await client.tokens())["refresh_token"]
    assert (await client.refresh(first, resource=resource)).json()["error"] == "invalid_target"
    assert (await client.refresh(first, resource=scene.resource)).status_code == 200


async def test_another_client_cannot_redeem_a_code_or_refresh(scene: Scene, client: Client) -> None:
    async with authorization_scene.client(scene, client_name="Other") as other:
        code = (await client.code())["code"]
        assert (await other.redeem(code, code_verifier=client.verifier)).json()["error"] == "invalid_grant"
        tokens = (await client.redeem(code)).json()
        assert (await other.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
        assert (await client.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.requirement("AUT-1")
async def test_a_revoked_token_ends_its_grant_and_another_clients_revocation_does_nothing(scene: Scene, client: Client) -> None:
    tokens = await client.tokens()
    async with authorization_scene.client(scene, client_name="Other") as other:
        form = {"token": tokens["refresh_token"], "client_id": other.id}
        assert (await other.http.post(f"{scene.url}/oauth/revoke", data=form)).status_code == 200
    assert (await scene.call(tokens["access_token"])).status_code == 200
    form = {"token": tokens["access_token"], "client_id": client.id}
    assert (await client.http.post(f"{scene.url}/oauth/revoke", data=form)).status_code == 200
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.requirement("AUT-1")
async def test_while_the_api_server_is_away_nothing_is_used_up(scene: Scene, client: Client, proxy: FaultyProxy) -> None:
    tokens = await client.tokens()
    code = (await client.code())["code"]
    await proxy.refuse()
    for answer in (await client.redeem(code), await client.refresh(tokens["refresh_token"])):
        assert answer.status_code == 503
        assert answer.json()["error"] == "temporarily_unavailable"
        assert answer.headers["Retry-After"]
    assert (await scene.call(tokens["access_token"])).status_code == 200
    await proxy.accept()
    assert (await client.redeem(code)).status_code == 200
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200


async def test_parameters_belong_into_the_body_once(scene: Scene, client: Client) -> None:
    code = (await client.code())["code"]
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "client_id": client.id, "code_verifier": client.verifier,
    }  # fmt: skip
    in_query = await client.http.post(f"{scene.url}/oauth/token", params=form)
    twice = await client.http.post(f"{scene.url}/oauth/token", data={**form, "code": [code, code]})
    as_json = await client.http.post(f"{scene.url}/oauth/token", json=form)
    assert {answer.json()["error"] for answer in (in_query, twice, as_json)} == {"invalid_request"}
    assert (await client.redeem(code)).status_code == 200
