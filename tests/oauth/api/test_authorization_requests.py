"""Requests that a client or an attacker makes up: what they get, and that nobody is sent anywhere before client and redirect belong together."""

import asyncio
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

import authorization_scene
from authorization_scene import REDIRECT, Client, Scene, redirected


@pytest.mark.requirement("AUT-1")
async def test_a_request_that_asks_for_less_safety_or_another_resource_is_told_so_at_its_own_address(scene: Scene, client: Client) -> None:
    cases: list[tuple[dict[str, str | None], str]] = [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"resource": "https://evil.example/v1/mcp/a.b"}, "invalid_target"),
        ({"resource": scene.url}, "invalid_target"),
        ({"resource": f"{scene.resource}x"}, "invalid_target"),
        ({"resource": f"{scene.resource}#x"}, "invalid_target"),
        ({"resource": f"{scene.resource}?x=1"}, "invalid_target"),
        ({"resource": ""}, "invalid_target"),
    ]
    for changes, error in cases:
        answer = await client.http.get(client.request(**changes))
        assert answer.status_code == 303, changes
        assert answer.headers["Location"].startswith(f"{REDIRECT}?"), changes
        told = redirected(answer)
        assert (told["error"], told["iss"], told["state"]) == (error, scene.url, "xyz"), changes
        assert "code" not in told


@pytest.mark.requirement("AUT-1")
async def test_before_client_and_redirect_uri_are_valid_there_is_a_page_and_never_a_redirect(scene: Scene, client: Client) -> None:
    cases: list[dict[str, str | None]] = [
        {"client_id": None}, {"client_id": ""}, {"client_id": "unknown"}, {"client_id": client.id[:-1]}, {"client_id": "dcr1.AAAA"},
        {"client_id": "https://127.0.0.1/client.json"}, {"client_id": "http://evil.example/client.json"},
        {"redirect_uri": None}, {"redirect_uri": ""}, {"redirect_uri": "javascript:alert(1)"}, {"redirect_uri": f"{REDIRECT}/x"},
        {"redirect_uri": f"{REDIRECT}?x=1"}, {"redirect_uri": f"{REDIRECT}#x"}, {"redirect_uri": "http://localhost:7777/callback"},
        {"redirect_uri": "http://127.0.0.1:7777@evil.example/callback"}, {"redirect_uri": "//evil.example/callback"},
    ]  # fmt: skip
    for changes in cases:
        # With something else wrong too, so that there is an error that could be sent somewhere.
        for more in ({}, {"response_type": "token"}, {"code_challenge_method": "plain"}):
            answer = await client.http.get(client.request(**{**changes, **more}))
            assert answer.status_code == 400, changes
            assert answer.headers["Content-Type"].startswith("text/html"), changes
            assert "Location" not in answer.headers, changes
    twice = await client.http.get(f"{client.request()}&{urlencode({'redirect_uri': 'https://evil.example/cb'})}")
    assert (twice.status_code, "Location" in twice.headers) == (400, False)


@pytest.mark.parametrize("state", ["a\r\nSet-Cookie: planted=1", '"><script>alert(1)</script>', "ä\N{SNOWMAN}\0", "a&code=planted#x"])
async def test_whatever_a_client_calls_its_state_comes_back_as_it_was_and_as_nothing_else(scene: Scene, client: Client, state: str) -> None:
    refused = await client.http.get(client.request(state=state, response_type="token"))
    page = await client.consent_page(client.request(state=state))
    fields = authorization_scene.fields(page.text)
    allowed = await client.http.post(f"{scene.url}/oauth/consent", data={**fields, "answer": "allow"})
    for answer in (refused, allowed):
        assert answer.status_code == 303
        assert "planted" not in answer.cookies
        told = parse_qs(urlsplit(answer.headers["Location"]).query, keep_blank_values=True)
        assert told["state"] == [state]
        assert told["iss"] == [scene.url]
    assert len(told["code"]) == 1
    assert "<script>" not in page.text


async def test_a_state_without_a_value_is_none(scene: Scene, client: Client) -> None:
    refused = await client.http.get(client.request(state="", response_type="token"))
    assert redirected(refused)["error"] == "unsupported_response_type"
    assert "state" not in refused.headers["Location"]


async def test_a_state_too_long_for_the_way_is_refused_at_the_clients_address(scene: Scene, client: Client) -> None:
    answer = await client.http.get(client.request(state="x" * 3_000))
    assert redirected(answer)["error"] == "invalid_request"
    assert (await client.http.get(client.request(state="x" * 7_000))).status_code == 400


@pytest.mark.requirement("AUT-1")
async def test_a_code_for_one_gateway_is_not_redeemed_for_another_that_its_person_may_use_too(scene: Scene, client: Client) -> None:
    await scene.gateway("others")
    others = scene.resource.replace("tools", "others")
    async with asyncio.timeout(5):
        while redirected(await client.http.get(client.request(resource=others))).get("error") == "invalid_target":  # noqa: ASYNC110 - the replica hears of it by itself
            await asyncio.sleep(0.02)
    code = (await client.code())["code"]
    assert (await client.redeem(code, resource=others)).json()["error"] == "invalid_grant"
    tokens = (await client.redeem(code, resource=None)).json()
    gateway = scene.platform.gateway_id.replace("tools", "others")
    assert (await scene.call(tokens["access_token"], gateway=gateway)).status_code == 401


@pytest.mark.requirement("AUT-1")
async def test_headers_that_name_somebody_are_nobodys_word(scene: Scene, client: Client) -> None:
    names = ("X-Forwarded-User", "X-Forwarded-Email", "X-Remote-User", "X-User", "Remote-User", "X-Auth-Request-User", "Mcp-Init-Host")
    headers = [*((name, "okta:alice") for name in names), ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https")]
    async with httpx.AsyncClient() as http:
        called = await http.post(scene.resource, json={}, headers=headers)
        metadata = await http.get(f"{scene.url}/.well-known/oauth-authorization-server", headers=headers)
        page = await http.get(f"{scene.url}/oauth/connected", headers=headers)
    assert called.status_code == 401
    assert "evil.example" not in called.headers["WWW-Authenticate"]
    assert metadata.json()["issuer"] == scene.url
    assert page.status_code == 303
    assert page.headers["Location"].startswith(scene.provider.issuer)
