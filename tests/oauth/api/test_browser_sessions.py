"""Sessions of browsers: that nobody can be given another's, and nothing of one counts in the next."""

import html
import re
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
import pytest

import authorization_scene
from authorization_scene import Client, Scene, fields


async def callback_of(scene: Scene, client: Client) -> tuple[str, dict[str, str]]:
    """Begin a login and return the URL that the identity provider sends the browser back to, and its parameters."""
    answer = await client.http.get(client.request())
    answer = await client.http.get(answer.headers["Location"])
    callback = await scene.provider.login(answer.headers["Location"])
    return callback, {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items()}


def has_session(http: httpx.AsyncClient) -> bool:
    return any("session" in name and value for name, value in http.cookies.items())


@pytest.mark.requirement("AUT-1")
async def test_a_callback_without_the_state_of_this_login_logs_nobody_in(scene: Scene, client: Client) -> None:
    _, parameters = await callback_of(scene, client)
    page_request = urlsplit((await client.http.get(client.request())).headers["Location"])
    other_purpose = parse_qs(page_request.query)["request"][0]
    for state in (None, "", "x", "login1.", "login1.AAAA", other_purpose, parameters["state"][:-2], f"{parameters['state']}AA"):
        sent = {**parameters, "state": state}
        query = urlencode({name: value for name, value in sent.items() if value is not None})
        answer = await client.http.get(f"{scene.callback}?{query}")
        assert answer.status_code == 400, state
        assert "Location" not in answer.headers
    assert not has_session(client.http)
    done = await client.http.get(f"{scene.callback}?{urlencode(parameters)}")
    assert done.status_code == 303
    assert has_session(client.http)


@pytest.mark.requirement("AUT-1")
async def test_a_callback_counts_once(scene: Scene, client: Client) -> None:
    callback, _ = await callback_of(scene, client)
    assert (await client.http.get(callback)).status_code == 303
    client.http.cookies.delete("wharfinger-session")
    assert (await client.http.get(callback)).status_code == 403
    assert not has_session(client.http)


@pytest.mark.parametrize("iss", ["https://evil.example", None], ids=["foreign", "missing"])
async def test_an_error_from_another_identity_provider_is_not_shown_as_this_ones(scene: Scene, client: Client, iss: str | None) -> None:
    _, parameters = await callback_of(scene, client)
    planted = {
        "error": "access_denied",
        "error_description": "call-0800-evil",
        "state": parameters["state"],
        **({"iss": iss} if iss else {}),
    }
    foreign = await client.http.get(f"{scene.callback}?{urlencode(planted)}")
    own = await client.http.get(f"{scene.callback}?{urlencode({**planted, 'iss': parameters['iss']})}")
    assert (foreign.status_code, own.status_code) == (403, 403)
    assert "another identity provider answered" in foreign.text
    assert "did not let you in" in own.text
    assert "evil" not in foreign.text + own.text


@pytest.mark.requirement("AUT-1")
async def test_a_login_makes_a_new_session_whatever_cookies_were_planted_before(scene: Scene, client: Client) -> None:
    async with httpx.AsyncClient() as attacker:
        await Client(scene, client.id, attacker).consent_page()
        planted = dict(attacker.cookies)
    # With the attacker's session alone, without the cookie that it is bound to.
    client.http.cookies.set("wharfinger-session", planted["wharfinger-session"], domain="127.0.0.1", path="/")
    answer = await client.http.get(client.request())
    answer = await client.http.get(answer.headers["Location"])
    assert answer.headers["Location"].startswith(scene.provider.issuer)

    page = await client.consent_page()
    before = fields(page.text)["csrf"]
    client.http.cookies.delete("wharfinger-session")
    again = await client.consent_page()
    assert fields(again.text)["csrf"] != before
    old = await client.http.post(f"{scene.url}/oauth/consent", data={**fields(page.text), "answer": "allow"})
    assert old.status_code == 400
    assert not await scene.grants()


def switch_form(page: httpx.Response) -> dict[str, str]:
    """Return what the form sends with which somebody else signs in."""
    return fields(page.text.partition("/oauth/login/switch")[2])


@pytest.mark.requirement("AUT-1")
@pytest.mark.parametrize("first", ["alice", "bob"], ids=["from the consent page", "from the page that refuses him"])
async def test_whoever_is_not_who_is_signed_in_signs_in_for_the_same_request(scene: Scene, client: Client, first: str) -> None:
    scene.provider.change("carol", name="Carol", groups=["engineering"])
    page = await client.consent_page(person=first)
    assert f"okta:{first}" in page.text
    choice = await client.http.post(f"{scene.url}/oauth/login/switch", data=switch_form(page))
    assert choice.status_code == 200
    assert not has_session(client.http)
    link = re.search(r'<a class="button" href="([^"]+)"', choice.text)
    assert link is not None
    chosen = await client.http.get(html.unescape(link[1]))
    at_provider = chosen.headers["Location"]
    assert parse_qs(urlsplit(at_provider).query)["prompt"] == ["login"]
    back = await client.http.get(await scene.provider.login(at_provider, "carol"))
    asked = await client.http.get(urljoin(str(back.url), back.headers["Location"]))
    assert "okta:carol" in asked.text
    # What was asked of the first one is not answered by the second.
    if first == "alice":
        old = await client.http.post(f"{scene.url}/oauth/consent", data={**fields(page.text), "answer": "allow"})
        assert old.status_code == 400
    allowed = await client.http.post(f"{scene.url}/oauth/consent", data={**fields(asked.text), "answer": "allow"})
    assert (await client.redeem(authorization_scene.redirected(allowed)["code"])).status_code == 200
    (grant,) = await scene.grants()
    assert grant["spec"]["user"] == "okta:carol"


@pytest.mark.requirement("AUT-1")
async def test_no_other_page_can_end_a_session(scene: Scene, client: Client) -> None:
    page = await client.consent_page()
    form = switch_form(page)
    url = f"{scene.url}/oauth/login/switch"
    forged = [{**form, "csrf": ""}, {**form, "csrf": fields(page.text)["csrf"]}, {**form, "request": "x"}, {}]
    for sent in forged:
        assert (await client.http.post(url, data=sent)).status_code == 400
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert (await client.http.post(url, data=form, headers=headers)).status_code == 400
    assert (await client.http.get(f"{url}?{urlencode(form)}")).status_code == 405
    async with httpx.AsyncClient() as other:
        assert (await other.post(url, data=form)).status_code == 400
    assert has_session(client.http)
    assert (await client.consent_page()).status_code == 200
