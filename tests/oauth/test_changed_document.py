"""A metadata document that says something else than when the person was asked: nothing follows from what was said before."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from authorization_scene import fields
from document_host import DocumentHost
from hostile_identity_provider import Clock
from platform_value import ALICE, NOW, ROOT_KEY, URL, platform
from wharfinger_crds.oauth import OAuth
from wharfinger_oauth.browser import browser_of, logged_in
from wharfinger_oauth.client_assertion import Assertions
from wharfinger_oauth.client_keys import ClientKeys
from wharfinger_oauth.clients import Clients, Proofs
from wharfinger_oauth.consent import Consent
from wharfinger_oauth.documents import DEFAULT_SECONDS, Documents
from wharfinger_oauth.request import Request, Response, parameters

pytestmark = pytest.mark.requirement("AUT-1")

PATH = "/client.json"
BEFORE, AFTER = "https://agent.example/callback", "https://evil.example/callback"
PLATFORM = platform()


class Person:
    """Alice, logged in, at a client with a document, whose host says nothing of how long it may be kept."""

    def __init__(self, site: DocumentHost, clients: Clients, clock: Clock) -> None:
        self._clients, self._clock = clients, clock
        self._consent = Consent(lambda: NOW + clock.now)
        self._browser = logged_in(browser_of(Request("GET", "/"), PLATFORM, NOW), ALICE, NOW)
        self.client_id = site.url(PATH)

    async def asked(self, redirect_uri: str) -> Response:
        """Be sent to the platform by the client."""
        query = {
            "response_type": "code", "client_id": self.client_id, "redirect_uri": redirect_uri, "resource": PLATFORM.url_of("dev.tools"),
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256",
        }  # fmt: skip
        answer = await self._consent.authorize(Request("GET", "/oauth/authorize", query=query), self._browser, PLATFORM, self._clients)
        if answer.status != 303:
            return answer
        consent = parameters(urlsplit(answer.headers["Location"]).query)
        assert consent is not None
        return await self._consent.page(Request("GET", "/oauth/consent", query=consent), self._browser, PLATFORM, self._clients, nobody)

    async def allows(self, page: Response) -> Response:
        """Say yes on a page."""
        form = {**fields(page.body.decode()), "answer": "allow"}
        return await self._consent.answer(Request("POST", "/oauth/consent", form=form), self._browser, PLATFORM, self._clients)


async def nobody(_then: str) -> Response:
    raise AssertionError("somebody is logged in")


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@pytest.fixture
async def person(site: DocumentHost, http: httpx.AsyncClient, clock: Clock) -> AsyncIterator[Person]:
    site.document(PATH, redirect_uris=[BEFORE])
    async with site.fetcher() as fetcher:
        documents = Documents(fetcher, clock)
        yield Person(site, Clients(OAuth(), {}, ROOT_KEY, Proofs(documents, Assertions([URL]), ClientKeys(http))), clock)
        await documents.close()


def given(answer: Response) -> tuple[str, bool]:
    """Return where an answer leads, and whether with a code."""
    url = urlsplit(answer.headers.get("Location", ""))
    return f"{url.scheme}://{url.netloc}{url.path}", "code" in parse_qs(url.query)


async def test_what_the_person_saw_is_what_the_client_gets(person: Person) -> None:
    assert given(await person.allows(await person.asked(BEFORE))) == (BEFORE, True)


async def test_a_redirect_uri_that_is_gone_when_the_person_answers_gets_no_code(person: Person, site: DocumentHost, clock: Clock) -> None:
    page = await person.asked(BEFORE)
    site.document(PATH, redirect_uris=[AFTER])
    clock.now += DEFAULT_SECONDS + 1
    answer = await person.allows(page)
    assert (answer.status, "Location" in answer.headers) == (400, False)


@pytest.mark.parametrize("gone", ["there", "valid", "its own"])
async def test_a_client_that_is_none_any_more_when_the_person_answers_gets_no_code(
    person: Person, site: DocumentHost, clock: Clock, gone: str
) -> None:
    page = await person.asked(BEFORE)
    if gone == "there":
        del site.answers[PATH]
    elif gone == "valid":
        site.document(PATH, redirect_uris=[BEFORE], client_secret="published")
    else:
        site.put(PATH, {"client_id": "https://other.example/client.json"})
    clock.now += DEFAULT_SECONDS + 1
    answer = await person.allows(page)
    assert (answer.status, "Location" in answer.headers) == (400, False)


async def test_another_redirect_uri_is_asked_about_anew_and_the_old_one_leads_nowhere(
    person: Person, site: DocumentHost, clock: Clock
) -> None:
    assert given(await person.allows(await person.asked(BEFORE)))[1]
    site.document(PATH, redirect_uris=[AFTER])
    clock.now += DEFAULT_SECONDS + 1
    old = await person.asked(BEFORE)
    assert (old.status, "Location" in old.headers) == (400, False)
    page = await person.asked(AFTER)
    assert page.status == 200
    assert "evil.example" in page.body.decode()
    assert given(await person.allows(page)) == (AFTER, True)
