"""The cookies by which a browser is known again."""

import pytest

from platform_value import ALICE, NOW, platform
from wharfinger_oauth.browser import ABSOLUTE, IDLE, browser_of, cookies, logged_in
from wharfinger_oauth.platform import Platform
from wharfinger_oauth.request import Request

pytestmark = pytest.mark.requirement("AUT-1")


def visit(platform_: Platform, held: dict[str, str], now: float) -> tuple[str | None, dict[str, str]]:
    """Be a browser with these cookies; return who is logged in, and the cookies that it has then."""
    found = browser_of(Request("GET", "/oauth/connected", cookies=held), platform_, now)
    user = found.session.subject.user if found.session else None
    return user, {name: value.partition(";")[0] for name, value in cookies(found, platform_, now).items()}


def after_login(platform_: Platform) -> dict[str, str]:
    given = cookies(logged_in(browser_of(Request("GET", "/"), platform_, NOW), ALICE, NOW), platform_, NOW)
    return {name: value.partition(";")[0] for name, value in given.items()}


@pytest.mark.parametrize(
    ("url", "prefix", "flags"),
    [
        ("https://mcp.example", "__Host-", "; Path=/; HttpOnly; SameSite=Lax; Secure;"),
        ("https://mcp.example/tools", "__Secure-", "; Path=/tools; HttpOnly; SameSite=Lax; Secure;"),
        ("http://localhost:8080", "", "; Path=/; HttpOnly; SameSite=Lax;"),
        ("http://localhost:8080/tools", "", "; Path=/tools; HttpOnly; SameSite=Lax;"),
    ],
)
def test_cookies_go_to_this_platform_only(url: str, prefix: str, flags: str) -> None:
    made = platform(public_url=url)
    given = cookies(logged_in(browser_of(Request("GET", "/"), made, NOW), ALICE, NOW), made, NOW)
    assert given.keys() == {f"{prefix}wharfinger-browser", f"{prefix}wharfinger-session"}
    assert all(flags in value and "Domain" not in value for value in given.values())
    assert "alice" not in str(given)


def test_a_session_ends_when_it_is_not_used_for_an_hour_and_after_half_a_day_however_much_it_is_used() -> None:
    made = platform()
    held, now = after_login(made), NOW
    assert visit(made, held, NOW + IDLE)[0] is None
    while now < NOW + ABSOLUTE - IDLE // 2:
        now += IDLE // 2
        user, held = visit(made, held, now)
        assert user == ("okta:alice" if now < NOW + ABSOLUTE else None)
    assert visit(made, held, NOW + ABSOLUTE)[0] is None


def test_a_session_is_bound_to_its_browser_and_to_its_platform() -> None:
    made = platform()
    held, other = after_login(made), after_login(made)
    assert visit(made, held, NOW)[0] == "okta:alice"
    assert visit(made, {**held, "__Host-wharfinger-browser": other["__Host-wharfinger-browser"]}, NOW)[0] is None
    assert visit(made, {"__Host-wharfinger-session": held["__Host-wharfinger-session"]}, NOW)[0] is None
    assert visit(platform(root_key=b"o" * 32), held, NOW)[0] is None
    for changed in ("", "x", held["__Host-wharfinger-session"][:-2], held["__Host-wharfinger-session"].replace("session1", "login1")):
        assert visit(made, {**held, "__Host-wharfinger-session": changed}, NOW)[0] is None


@pytest.mark.parametrize("planted", ["", "x", "a" * 21, "a" * 23, "a" * 21 + ";", "a" * 21 + "ä", "a" * 21 + "|"])
def test_an_identity_that_this_platform_cannot_have_given_is_replaced(planted: str) -> None:
    made = platform()
    _, given = visit(made, {"__Host-wharfinger-browser": planted}, NOW)
    assert given["__Host-wharfinger-browser"] != planted
