"""What attackers try on logins and tokens: one case each, against the running program (OAuth 2.0 Security Best Current Practice, RFC 9700)."""

from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import pytest

import authorization_scene
from authorization_scene import REDIRECT, Client, Scene, fields, redirected
from wharfinger_cluster.resource import SECRET
from wharfinger_crds import names


async def post_consent(scene: Scene, http: httpx.AsyncClient, page: httpx.Response, **changes: str) -> httpx.Response:
    headers = {key.replace("_", "-"): changes.pop(key) for key in ("Origin", "Sec_Fetch_Site") if key in changes}
    return await http.post(f"{scene.url}/oauth/consent", data={**fields(page.text), "answer": "allow", **changes}, headers=headers)


@pytest.mark.requirement("AUT-1")
async def test_consent_counts_only_in_the_browser_that_the_request_began_in(scene: Scene, client: Client) -> None:
    page = await client.consent_page()
    async with httpx.AsyncClient() as other:
        assert (await post_consent(scene, other, page)).status_code == 400
        # Somebody who is logged in there himself.
        await Client(scene, client.id, other).consent_page(person="alice")
        assert (await post_consent(scene, other, page)).status_code == 400
    assert (await post_consent(scene, client.http, page)).status_code == 303


@pytest.mark.requirement("AUT-1")
@pytest.mark.parametrize(
    "changes",
    [{"csrf": ""}, {"csrf": "0" * 48}, {"request": "areq1.AAAA"}, {"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}],
    ids=str,
)
async def test_a_forged_consent_gives_no_code(scene: Scene, client: Client, changes: dict[str, str]) -> None:
    page = await client.consent_page()
    forged = await post_consent(scene, client.http, page, **changes)
    assert forged.status_code == 400
    assert "Location" not in forged.headers
    assert not await scene.grants()


@pytest.mark.requirement("AUT-1")
async def test_the_proof_of_one_page_is_none_on_another_and_none_for_whoever_logged_in_since(scene: Scene, client: Client) -> None:
    async with authorization_scene.client(scene, client_name="Another") as another:
        first = await client.consent_page()
        second = await client.consent_page(client.request(client_id=another.id))
        assert (await post_consent(scene, client.http, second, csrf=fields(first.text)["csrf"])).status_code == 400
        # Who began elsewhere and hands his page's address on gets the other to do nothing.
        async with httpx.AsyncClient() as other:
            await Client(scene, client.id, other).consent_page(person="alice")
            handed = await other.get(f"{scene.url}/oauth/consent?{urlencode({'request': fields(first.text)['request']})}")
            assert handed.status_code == 400
            assert not fields(handed.text)
    session = next(name for name in client.http.cookies if "session" in name)
    del client.http.cookies[session]
    await client.consent_page()
    assert (await post_consent(scene, client.http, first)).status_code == 400
    assert not await scene.grants()


async def test_consent_is_never_given_by_a_link(scene: Scene, client: Client) -> None:
    page = await client.consent_page()
    by_link = await client.http.get(f"{scene.url}/oauth/consent?{urlencode({**fields(page.text), 'answer': 'allow'})}")
    assert by_link.status_code == 200
    assert "Location" not in by_link.headers


async def test_a_login_that_was_begun_elsewhere_does_not_end_here(scene: Scene, client: Client) -> None:
    answer = await client.http.get(client.request())
    answer = await client.http.get(answer.headers["Location"])
    callback = await scene.provider.login(answer.headers["Location"])
    async with httpx.AsyncClient() as victim:
        caught = await victim.get(callback)
        assert caught.status_code == 400
        assert not any("session" in name for name in victim.cookies)


@pytest.mark.parametrize("iss", [None, "https://evil.example", "trailing/"], ids=["missing", "foreign", "normalised"])
async def test_an_answer_of_another_identity_provider_is_not_followed(scene: Scene, client: Client, iss: str | None) -> None:
    answer = await client.http.get(client.request())
    answer = await client.http.get(answer.headers["Location"])
    callback = urlsplit(await scene.provider.login(answer.headers["Location"]))
    parameters = {name: values[0] for name, values in parse_qs(callback.query).items()}
    parameters["iss"] = f"{parameters['iss']}/" if iss == "trailing/" else iss or ""
    sent = {name: value for name, value in parameters.items() if value}
    refused = await client.http.get(f"{scene.callback}?{urlencode(sent)}")
    assert refused.status_code == 403
    assert not any("session" in name and value for name, value in client.http.cookies.items())


async def test_a_login_leads_nowhere_but_to_pages_of_ours(scene: Scene, client: Client) -> None:
    for then in ("//evil.example", "@evil.example", "https://evil.example", "/oauth/token", ""):
        refused = await client.http.get(f"{scene.url}/oauth/login?provider=okta&then={quote(then, safe='')}")
        assert refused.status_code == 400, then
        assert "Location" not in refused.headers


async def test_development_login_is_not_there_unless_the_settings_say_so(scene: Scene, client: Client) -> None:
    page = await client.http.get(f"{scene.url}/oauth/login/development?user=okta:alice&then=/oauth/connected&proof=x")
    assert page.status_code == 403


@pytest.mark.requirement("AUT-1")
async def test_no_credential_counts_in_the_place_of_another(scene: Scene, client: Client) -> None:
    code = (await client.code())["code"]
    tokens = (await client.redeem(code)).json()
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    for wrong in (code, refresh, f"{access}x", access[:-4] + "AAAA"):
        assert (await scene.call(wrong)).status_code == 401
    for wrong in (code, access):
        assert (await client.refresh(wrong)).json()["error"] == "invalid_grant"
    for wrong in (access, refresh):
        assert (await client.redeem(wrong)).json()["error"] == "invalid_grant"
    name, number, mac = refresh.split(".")[1:]
    for wrong in (
        f"rt1.{name}.{int(number) + 1}.{mac}",
        f"rt1.{name}.{number}.{'0' * len(mac)}",
        f"rt1.{name}.-1.{mac}",
        f"rt1.{name}.٣.{mac}",
    ):
        assert (await client.refresh(wrong)).json()["error"] == "invalid_grant"
    # None of that has ended anything.
    assert (await scene.call(access)).status_code == 200


async def test_a_token_in_the_url_or_twice_is_none(scene: Scene, client: Client) -> None:
    access = (await client.tokens())["access_token"]
    async with httpx.AsyncClient() as http:
        in_url = await http.post(f"{scene.resource}?access_token={access}", json={})
        twice = await http.post(
            scene.resource, json={}, headers=[("Authorization", f"Bearer {access}"), ("Authorization", f"Bearer {access}")]
        )
    assert (in_url.status_code, twice.status_code) == (401, 401)


@pytest.mark.requirement("AUT-6")
async def test_who_may_write_grants_makes_nobody_anything(scene: Scene, client: Client) -> None:
    await client.tokens()
    (grant,) = await scene.grants()
    spec = grant["spec"]
    promoted = {**spec, "user": "okta:root", "subject": {**spec["subject"], "groups": ["admins"]}}
    made = {
        "metadata": {"name": grant["metadata"]["name"].replace("code-", "code-f")[:45], "namespace": scene.platform.system},
        "spec": promoted,
    }
    await scene.platform.cluster.create(authorization_scene.GRANTS, made)
    forged = f"rt1.{made['metadata']['name']}.0.{'0' * 48}"
    assert (await client.refresh(forged)).json()["error"] == "invalid_grant"


async def test_answers_that_hold_credentials_are_not_kept_anywhere(scene: Scene, client: Client) -> None:
    page = await client.consent_page()
    done = await post_consent(scene, client.http, page)
    token = await client.redeem(redirected(done)["code"])
    for answer in (page, done, token):
        assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    for name in ("wharfinger-browser", "wharfinger-session"):
        (cookie,) = [one for one in page.headers.get_list("Set-Cookie") if one.startswith(name)]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/register", "/oauth/revoke", "/oauth/consent"])
async def test_a_body_that_is_too_large_or_none_is_refused_and_nobody_else_notices(scene: Scene, client: Client, path: str) -> None:
    async with httpx.AsyncClient() as http:
        large = await http.post(
            f"{scene.url}{path}", content=b"a=" + b"x" * 1_000_000, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert large.status_code == 413
        for content in (b"", b"\xff\xfe", b"a=1&a=2", b"%", b"{" * 10_000):
            for kind in ("application/x-www-form-urlencoded", "application/json", "text/plain"):
                answer = await http.post(f"{scene.url}{path}", content=content, headers={"Content-Type": kind})
                assert 400 <= answer.status_code < 500, (content, kind)
    assert (await client.http.get(f"{scene.url}/.well-known/oauth-authorization-server")).status_code == 200


async def test_names_of_clients_are_text_wherever_they_are_shown(scene: Scene) -> None:
    async with authorization_scene.client(scene, client_name="<img src=x onerror=alert(1)>\"'") as hostile:
        page = await hostile.consent_page()
        assert "<img" not in page.text
        assert "&lt;img" in page.text
        await hostile.tokens()
        connected = await hostile.http.get(f"{scene.url}/oauth/connected")
        assert "<img" not in connected.text


@pytest.mark.requirement("AUT-6")
async def test_a_person_sees_his_applications_and_takes_access_away_and_nobody_elses(scene: Scene, client: Client) -> None:
    tokens = await client.tokens()
    page = await client.http.get(f"{scene.url}/oauth/connected")
    assert "Test Client" in page.text
    async with httpx.AsyncClient() as other:
        stranger = await other.post(f"{scene.url}/oauth/connected", data=fields(page.text))
        assert stranger.status_code == 400
    assert (await scene.call(tokens["access_token"])).status_code == 200
    done = await client.http.post(f"{scene.url}/oauth/connected", data=fields(page.text))
    assert done.status_code == 303
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert "Test Client" not in (await client.http.get(f"{scene.url}/oauth/connected")).text


async def test_nothing_of_a_login_is_in_what_the_program_writes(scene: Scene, client: Client) -> None:
    code = (await client.code())["code"]
    tokens = (await client.redeem(code)).json()
    await scene.call(tokens["access_token"])
    await client.redeem(code)
    key = await scene.platform.cluster.get(SECRET, names.SIGNING_KEYS_SECRET, scene.platform.system)
    _, metrics = await scene.replicas[0].probe("/metrics")
    written = "\n".join([*scene.replicas[0].out, *scene.replicas[0].err, metrics])
    assert "McpGrant" in written
    planted = (code, tokens["access_token"], tokens["refresh_token"], scene.provider.client_secret, key["data"][names.SIGNING_KEYS])
    for text in planted:
        assert text not in written
    assert REDIRECT not in written
