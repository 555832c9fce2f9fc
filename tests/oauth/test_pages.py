"""Pages for people: what they say, and that whatever a stranger wrote into them stays text."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from page_samples import CALLBACK, CONNECTED, CONSENT, CURSOR, EVERY, LOOPBACK, PAGES
from wharfinger_oauth import pages
from wharfinger_oauth.client import Client
from wharfinger_oauth.pages import Choice, Connected, ConnectedGrant, Pages, Scope, Switch
from wharfinger_oauth.request import Response

pytestmark = pytest.mark.requirement("AUT-1")

MARKUP = "</title></code><script>alert(1)</script><img src=x onerror=alert(1)>\"'><form action=//evil.example>&amp;"


class Tags(HTMLParser):
    """Every element with its attributes, and the text that a reader sees."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(response.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += re.sub(r"\s+", " ", data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def policy(response: Response) -> dict[str, str]:
    return dict(part.strip().partition(" ")[::2] for part in response.headers["Content-Security-Policy"].split(";"))


@pytest.mark.parametrize("name", EVERY)
def test_every_page_is_neither_stored_nor_framed_nor_told_to_others_and_loads_nothing_but_its_style(name: str) -> None:
    response = EVERY[name]()
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    held = policy(response)
    assert held.keys() == {"default-src", "style-src", "form-action", "frame-ancestors", "base-uri"}
    assert [held[part] for part in ("default-src", "style-src", "frame-ancestors", "base-uri")] == ["'none'", "'self'", "'none'", "'none'"]
    assert held["form-action"].split()[0] == "'self'"
    assert name == "consent" or held["form-action"] == "'self'"


@pytest.mark.parametrize("name", EVERY)
def test_every_page_needs_no_script_and_can_be_read_aloud(name: str) -> None:
    page = Tags(EVERY[name]())
    assert not {tag for tag, _ in page.tags} & {"script", "style", "iframe", "img", "object", "embed", "base"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]
    assert page.all("html") == [{"lang": "en"}]
    assert [one for one in page.all("meta") if one.get("name") == "viewport"]
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    assert len(page.all("title")) == 1


def test_the_style_is_named_by_what_it_is_and_kept_for_ever() -> None:
    response = pages.stylesheet()
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert re.fullmatch(r"/oauth/style-[0-9a-f]{12}\.css", pages.STYLESHEET_PATH)
    assert b"url(" not in response.body
    assert b"@import" not in response.body
    for public_url, path in (("https://mcp.example", ""), ("https://mcp.example/platform", "/platform")):
        (link,) = Tags(Pages(public_url).done("a", "b")).all("link")
        assert link == {"rel": "stylesheet", "href": path + pages.STYLESHEET_PATH}


def test_whoever_is_asked_sees_who_asks_for_what_and_where_it_leads() -> None:
    page = Tags(PAGES.consent(CONSENT))
    for shown in (
        "okta:alice",
        "Claude",
        "unverified",
        "claude.ai",
        "Developer tools",
        "https://mcp.example/v1/mcp/dev.tools",
        "call the tools of this gateway",
        "30 days",
        "14 days",
    ):
        assert shown in page.text
    form, _ = page.all("form")
    assert form == {"method": "post", "action": "/oauth/consent"}
    assert page.all("input")[:2] == [
        {"type": "hidden", "name": "request", "value": "sealed-request"},
        {"type": "hidden", "name": "csrf", "value": "csrf-token"},
    ]
    assert [(one["type"], one["name"], one["value"]) for one in page.all("button")[:2]] == [
        ("submit", "answer", "allow"),
        ("submit", "answer", "deny"),
    ]


@pytest.mark.parametrize("name", ["consent", "refused"])
def test_whoever_is_somebody_else_can_say_so_with_a_form_of_its_own(name: str) -> None:
    page = Tags(EVERY[name]())
    assert "Not you? Sign in as somebody else" in page.text
    assert page.all("form")[-1] == {"method": "post", "action": "/oauth/login/switch", "class": "switch"}
    assert page.all("input")[-2:] == [
        {"type": "hidden", "name": "request", "value": "sealed-request"},
        {"type": "hidden", "name": "csrf", "value": "switch-token"},
    ]
    assert page.all("button")[-1] == {"type": "submit"}


@pytest.mark.parametrize(
    ("client", "redirect", "says", "warns"),
    (
        (Client("a", "Claude", (), "Registration"), CALLBACK, "unverified", "chose its name itself"),
        (Client("a", "Claude", (), "Registration"), LOOPBACK, "unverified", "chose its name itself"),
        (Client("a", "Agent", (), "Document", host="apps.example"), CALLBACK, "apps.example", None),
        (Client("a", "Agent", (), "Document", host="apps.example"), LOOPBACK, "apps.example", "Any program on this computer can pretend"),
        (Client("a", "Agent", (), "Document", host="apps.example"), CURSOR, "apps.example", "Any program on this computer can pretend"),
        (Client("a", "Agent", (), "Settings"), LOOPBACK, "registered by the administrator", None),
    ),
)
def test_how_far_a_name_can_be_trusted_is_said(client: Client, redirect: Any, says: str, warns: str | None) -> None:
    page = Tags(PAGES.consent(replace(CONSENT, client=client, redirect=redirect)))
    assert says in page.text
    assert [one.get("class") for one in page.all("p")].count("warning") == (0 if warns is None else 1)
    assert warns is None or warns in page.text
    assert ("unverified" in page.text) == (client.source == "Registration")


def test_what_strangers_wrote_stays_text() -> None:
    client = Client(MARKUP, MARKUP, (), "Document", host=MARKUP)
    consent = replace(
        CONSENT,
        user=MARKUP,
        client=client,
        gateway_title=MARKUP,
        gateway_url=MARKUP,
        scopes=(Scope(MARKUP, MARKUP),),
        switch=Switch(MARKUP, MARKUP, MARKUP),
        request=MARKUP,
        csrf=MARKUP,
    )
    grant = ConnectedGrant(MARKUP, MARKUP, MARKUP, 0, 0, 1)
    hostile = {
        "login": PAGES.login([Choice(MARKUP, f"/oauth/login?{MARKUP}"), Choice("Entra", "/oauth/login")]),
        "consent": PAGES.consent(consent),
        "connected": PAGES.connected(Connected(MARKUP, (grant,), "/oauth/revoke", MARKUP)),
        "error": PAGES.error(400, MARKUP, MARKUP, MARKUP),
        "refused": PAGES.error(403, MARKUP, MARKUP, switch=Switch(MARKUP, MARKUP, MARKUP)),
        "done": PAGES.done(MARKUP, MARKUP),
    }
    for name, response in hostile.items():
        assert [tag for tag, _ in Tags(response).tags] == [tag for tag, _ in Tags(_harmless(name)).tags]
        assert re.sub(r"\s+", " ", MARKUP) in Tags(response).text


def _harmless(name: str) -> Response:
    """The same page with harmless words."""
    match name:
        case "consent":
            return PAGES.consent(replace(CONSENT, client=Client("a", "a", (), "Document", host="a")))
        case "connected":
            return PAGES.connected(Connected("a", (ConnectedGrant("a", "a", "a", 0, 0, 1),), "/oauth/revoke", "t"))
        case _:
            return EVERY[name]()


def test_a_person_sees_each_application_and_can_end_its_access() -> None:
    page = Tags(PAGES.connected(CONNECTED))
    for shown in ("okta:alice", "Claude", "Developer tools", "21 September 2026", "21 October 2026", "Revoke access"):
        assert shown in page.text
    assert page.all("form") == [{"method": "post", "action": "/oauth/revoke"}]
    assert page.all("input") == [{"type": "hidden", "name": "grant", "value": "g1"}, {"type": "hidden", "name": "csrf", "value": "t"}]
    assert [one["aria-describedby"] for one in page.all("button")] == [one["id"] for one in page.all("h2")]
    assert "No application" in Tags(PAGES.connected(Connected("okta:alice", (), "/oauth/revoke", "t"))).text


def test_an_error_is_a_page_with_its_status_and_says_what_to_do() -> None:
    response = EVERY["error"]()
    assert response.status == 400
    for shown in ("This link cannot be used", "Start again", "unknown_client"):
        assert shown in Tags(response).text


def test_no_credential_is_in_what_is_logged() -> None:
    assert "sealed-request" not in f"{CONSENT!r} {PAGES.consent(CONSENT)!r}"
    assert "csrf-token" not in f"{CONSENT!r} {PAGES.consent(CONSENT)!r}"
