"""The pages as people meet them: in a real browser without scripts, on a phone and a desk, by day and by night, with keys alone."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

import browser as browsers
from browser import Browser
from eventually import eventually
from page_samples import CONSENT, EVERY, PAGES
from page_site import Callback, PageSite, callback, page_site
from wharfinger_oauth import pages
from wharfinger_oauth.client import Client
from wharfinger_oauth.redirect_uri import parse
from wharfinger_oauth.request import Response

pytestmark = pytest.mark.requirement("AUT-1")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with browsers.browser() as running:
        yield running


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


def asks(site: PageSite) -> Response:
    """The consent page for a client that waits where the site leads to."""
    redirect = parse(site.leads_to.partition("?")[0])
    return PAGES.consent(replace(CONSENT, client=Client("dcr1.a", "Agent", (redirect.text,), "Registration"), redirect=redirect))


async def asking(stack: AsyncExitStack, waiting: Callback | str) -> PageSite:
    site = await stack.enter_async_context(page_site(asks))
    site.leads_to = f"{waiting if isinstance(waiting, str) else waiting.url}?code=c&state=s"
    return site


async def test_a_person_allows_or_denies_with_the_keyboard_alone_and_in_the_order_of_the_page(
    browser: Browser, stack: AsyncExitStack
) -> None:
    waiting = await stack.enter_async_context(callback())
    site = await asking(stack, waiting)
    for steps, key, answer in ((1, "Enter", "allow"), (1, "Space", "allow"), (2, "Enter", "deny")):
        await browser.open(site.url)
        focused = []
        for _ in range(steps):
            await browser.press("Tab")
            focused.append(await browser.focus())
        assert focused == ["Allow", "Deny"][:steps]
        await browser.press(key)
        await eventually(lambda: waiting.queries)
        assert site.forms.pop() == {"request": "sealed-request", "csrf": "csrf-token", "answer": answer}
        assert waiting.queries.pop() == {"code": "c", "state": "s"}
    assert browser.complaints == []


@pytest.mark.parametrize(
    ("scheme", "host"),
    (
        ("http", "localhost"),
        ("http", "127.0.0.1"),
        ("http", "127.0.0.2"),
        ("http", "[::1]"),
        ("https", "localhost"),
        ("https", "client.example"),
    ),
)
async def test_the_answer_reaches_programs_and_web_sites(browser: Browser, stack: AsyncExitStack, scheme: str, host: str) -> None:
    waiting = await stack.enter_async_context(callback(scheme, host))
    site = await asking(stack, waiting)
    await browser.open(site.url)
    await browser.click("Allow")
    await eventually(lambda: waiting.queries)
    assert waiting.queries == [{"code": "c", "state": "s"}]
    assert browser.complaints == []


@pytest.mark.parametrize("uri", ("cursor://anysphere.cursor-mcp/oauth/callback", "com.example.app:/callback"))
async def test_the_answer_reaches_apps(browser: Browser, stack: AsyncExitStack, uri: str) -> None:
    site = await asking(stack, uri)
    await browser.open(site.url)
    await browser.click("Allow")
    await eventually(lambda: f"{uri}?code=c&state=s" in browser.requested)
    assert browser.complaints == []


async def test_a_web_site_may_lead_on_to_a_program_and_a_program_to_a_web_site(browser: Browser, stack: AsyncExitStack) -> None:
    program = await stack.enter_async_context(callback())
    between = await stack.enter_async_context(callback("https", "client.example"))
    after = await stack.enter_async_context(callback("https", "after.example"))
    for first, last in ((between, program), (program, after)):
        first.leads_to = last.url
        site = await asking(stack, first)
        await browser.open(site.url)
        await browser.click("Allow")
        await eventually(lambda last=last: last.queries)  # type: ignore[misc]
        last.queries.clear()
    assert browser.complaints == []


async def test_a_web_site_may_lead_on_to_a_known_app(browser: Browser, stack: AsyncExitStack) -> None:
    between = await stack.enter_async_context(callback("https", "client.example"))
    between.leads_to = "vscode://vscode.github-authentication/did-authenticate"
    site = await asking(stack, between)
    await browser.open(site.url)
    await browser.click("Allow")
    await eventually(lambda: between.leads_to in browser.requested)
    assert browser.complaints == []


async def test_a_policy_that_did_not_name_the_client_would_keep_the_answer_from_it(browser: Browser, stack: AsyncExitStack) -> None:
    waiting = await stack.enter_async_context(callback())
    site = await stack.enter_async_context(
        page_site(lambda site: PAGES.consent(replace(CONSENT, redirect=parse("com.example.app:/callback"))))
    )
    site.leads_to = waiting.url
    await browser.open(site.url)
    await browser.click("Allow")
    await eventually(lambda: browser.complaints)
    assert "form-action" in browser.complaints[0]
    assert waiting.queries == []


async def test_no_page_can_be_framed(browser: Browser, stack: AsyncExitStack) -> None:
    consent = await stack.enter_async_context(page_site(lambda _: PAGES.consent(CONSENT)))
    frame = f'<!doctype html><iframe src="{consent.url}"></iframe>'.encode()
    thief = await stack.enter_async_context(page_site(lambda _: Response(200, frame, {"Content-Type": "text/html"})))
    await browser.open(thief.url)
    await eventually(lambda: browser.complaints)
    assert any("frame-ancestors" in said for said in browser.complaints)
    assert "Allow" not in [node.name for node in await browser.nodes()]


@pytest.mark.parametrize("name", EVERY)
async def test_every_page_fits_a_phone_and_a_desk_by_day_and_by_night(browser: Browser, stack: AsyncExitStack, name: str) -> None:
    site = await stack.enter_async_context(page_site(lambda _: EVERY[name]()))
    for width, height in ((320, 568), (1280, 800)):
        pictures = []
        for dark in (False, True):
            await browser.show(width, height, dark=dark)
            await browser.open(site.url)
            assert await browser.content_width() <= width
            pictures.append(await browser.picture())
        assert pictures[0] != pictures[1]
    assert [said for said in browser.complaints if "status of 40" not in said] == []
    assert {url.removeprefix(site.url) for url in browser.requested} == {"", pages.STYLESHEET_PATH.removeprefix("/")}
