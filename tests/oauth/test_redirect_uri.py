"""Redirect URIs: what is one, what may be registered, and what of a request counts as registered."""

import string
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_crds.oauth import Registration
from wharfinger_oauth.redirect_uri import APP_SCHEMES, MAX_LENGTH, RedirectUriError, check_registered, match, parse

pytestmark = pytest.mark.requirement("AUT-1")

CLAUDE = "https://claude.ai/api/mcp/auth_callback"
IN_THE_FIELD = (
    (CLAUDE, "Web"),
    ("https://claude.com/api/mcp/auth_callback", "Web"),
    ("https://chatgpt.com/connector_platform_oauth_redirect", "Web"),
    ("https://vscode.dev/redirect", "Web"),
    ("https://tools.example.com:8443/oauth/callback?from=a&to=b%20c", "Web"),
    ("http://127.0.0.1:33418", "Loopback"),
    ("http://127.0.0.1:33418/", "Loopback"),
    ("http://localhost:7777/oauth/callback", "Loopback"),
    ("http://[::1]:3000/callback", "Loopback"),
    ("https://localhost:8443/callback", "Loopback"),
    ("cursor://anysphere.cursor-mcp/oauth/callback", "App"),
    ("vscode://vscode.github-authentication/did-authenticate", "App"),
    ("com.example.app:/callback", "App"),
    ("com.example.app://callback", "App"),
)
NEVER = (
    "",
    "/callback",
    "//claude.ai/callback",
    "claude.ai/callback",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "javascript://claude.ai/%0aalert(1)",
    "java\tscript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "blob:https://claude.ai/1",
    "about:blank",
    "mailto:a@example.com",
    "ws://127.0.0.1/",
    "wss://claude.ai/",
    "ftp://127.0.0.1/",
    "view-source:https://claude.ai/",
    "intent://claude.ai/#Intent;end",
    "ms-settings:privacy",
    "x-apple.systempreferences:com.apple.preference",
    "unknown-app://callback",
    "http://claude.ai/api/mcp/auth_callback",
    "http://10.0.0.1/callback",
    "http://0.0.0.0/callback",
    "http://127.0.0.1.evil.example/callback",
    "http://localhost.evil.example/callback",
    "http://127.1/callback",
    "http://0x7f.0.0.1/callback",
    "http://2130706433/callback",
    "http://0177.0.0.1/callback",
    "http://[::ffff:127.0.0.1]/callback",
    "http://LOCALHOST/callback",
    "https://203.0.113.7/callback",
    "https://[2001:db8::1]/callback",
    "https://2130706433/callback",
    "https://1.2.3.0x4/callback",
    "https:///callback",
    "https:claude.ai/callback",
    "https:/claude.ai/callback",
    "https://good.example@evil.example/callback",
    "https://good.example:pass@evil.example/callback",
    "http://localhost@evil.example/callback",
    "https://claude.ai\\@evil.example/callback",
    "https://evil.example\\.claude.ai/callback",
    "https://claude.ai/callback#fragment",
    "https://claude.ai/callback#",
    "https://*.claude.ai/callback",
    "https://claude.ai/*",
    "https://claude.ai/a/../callback",
    "https://claude.ai/a/%2e%2e/callback",
    "https://claude.ai/a/%2E./callback",
    "https://claude.ai/a%2f..%2fcallback",
    "https://claude.ai/./callback",
    "https://claude.ai/a%5ccallback",
    "https://claude.ai/callback%0d%0aSet-Cookie:a=b",
    "https://claude.ai/callback?a=%00",
    "https://claude.ai/callback\r\nSet-Cookie: a=b",
    "https://claude.ai/call back",
    "https://claude.ai/callback%",
    "https://claude.ai/callback%zz",
    "https://\u0441laude.ai/callback",
    "https://claude.ai。evil.example/callback",
    "https://claude.ai./callback",
    "https://claude..ai/callback",
    "https://-claude.ai/callback",
    "https://claude_ai/callback",
    "https://claude.ai:/callback",
    "https://claude.ai:0/callback",
    "https://claude.ai:99999/callback",
    "https://claude.ai:443x/callback",
    "HTTPS://claude.ai/callback",
    "cursor:",
    "cursor:callback",
    "cursor://user@host/callback",
    "com.example.app:callback",
    "https://claude.ai/" + "a" * MAX_LENGTH,
)


@pytest.mark.parametrize(("text", "kind"), IN_THE_FIELD)
def test_what_clients_in_the_field_use_is_read(text: str, kind: str) -> None:
    assert parse(text).kind == kind


@pytest.mark.parametrize("text", NEVER)
def test_what_could_lead_elsewhere_or_run_is_no_redirect_uri_and_is_never_matched(text: str) -> None:
    with pytest.raises(RedirectUriError):
        parse(text)
    assert match([text], text) is None
    assert match([CLAUDE, "http://localhost/callback"], text) is None


@pytest.mark.parametrize(
    "given_",
    (
        f"{CLAUDE}/",
        f"{CLAUDE}2",
        f"{CLAUDE}?a=b",
        f"{CLAUDE}%2f",
        CLAUDE[:-1],
        CLAUDE.replace("/auth_callback", "/Auth_callback"),
        CLAUDE.replace("auth_callback", "%61uth_callback"),
        CLAUDE.replace("claude.ai", "Claude.ai"),
        CLAUDE.replace("claude.ai", "claude.ai:443"),
        CLAUDE.replace("claude.ai", "claude.ai:8443"),
        CLAUDE.replace("claude.ai", "evil-claude.ai"),
        CLAUDE.replace("claude.ai", "claude.ai.evil.example"),
        CLAUDE.replace("claude.ai", "xn--laude-3ve.ai"),
        CLAUDE.replace("https", "http"),
        "http://127.0.0.1/callback",
    ),
)
def test_a_redirect_uri_of_the_web_matches_in_every_character_or_not_at_all(given_: str) -> None:
    assert match([CLAUDE], CLAUDE) == parse(CLAUDE)
    assert match([CLAUDE], given_) is None


@pytest.mark.parametrize(
    ("registered", "given_", "matches"),
    (
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback", True),
        ("http://127.0.0.1:33418/callback", "http://127.0.0.1:51004/callback", True),
        ("http://127.0.0.1:33418/callback", "http://127.0.0.1/callback", True),
        ("http://localhost:3000/callback", "http://localhost:51004/callback", True),
        ("http://[::1]/callback", "http://[::1]:51004/callback", True),
        ("http://localhost/callback", "http://127.0.0.1:51004/callback", False),
        ("http://127.0.0.1/callback", "http://localhost:51004/callback", False),
        ("http://127.0.0.1/callback", "http://127.0.0.2:51004/callback", False),
        ("http://127.0.0.1/callback", "http://[::1]:51004/callback", False),
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/", False),
        ("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback?next=a", False),
        ("http://127.0.0.1/callback", "https://127.0.0.1:51004/callback", False),
        ("https://localhost:8443/callback", "https://localhost:51004/callback", False),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp:1/oauth/callback", False),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://other/oauth/callback", False),
        ("com.example.app:/callback", "com.example.app:/callback/", False),
    ),
)
def test_only_the_port_of_http_on_the_loopback_interface_may_differ(registered: str, given_: str, matches: bool) -> None:
    assert (match(["https://claude.ai/other", registered], given_) is not None) == matches


def test_a_user_in_front_of_the_host_is_named_as_what_is_wrong() -> None:
    with pytest.raises(RedirectUriError, match="has a user"):
        parse("https://good.example@evil.example/callback")


def _may_register(text: str, registration: Registration) -> bool:
    try:
        check_registered(parse(text), registration)
    except RedirectUriError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "known_hosts", "open_"),
    (
        (CLAUDE, True, True),
        ("https://claude.ai:443/callback", True, True),
        ("https://CLAUDE.ai/callback", True, True),
        ("https://claude.ai:8443/callback", False, True),
        ("https://evil.example/callback", False, True),
        ("https://a.claude.ai/callback", False, True),
        ("https://claude.ai.evil.example/callback", False, True),
        ("https://one.tools.example/callback", True, True),
        ("https://tools.example/callback", False, True),
        ("https://two.one.tools.example/callback", False, True),
        ("http://localhost:1/callback", True, True),
        ("http://127.0.0.1/callback", True, True),
        ("cursor://anysphere.cursor-mcp/oauth/callback", True, True),
        ("com.example.app:/callback", True, True),
    ),
)
def test_clients_that_register_themselves_lead_to_known_hosts_programs_and_apps_unless_the_platform_is_open(
    text: str, known_hosts: bool, open_: bool
) -> None:
    hosts = ("claude.ai", "*.tools.example")
    assert _may_register(text, Registration(redirect_hosts=hosts)) == known_hosts
    assert _may_register(text, Registration(dynamic="Open", redirect_hosts=hosts)) == open_


@given(
    st.text(alphabet=st.sampled_from(string.printable + "é。\\@#%.:/[]"), max_size=40),
    st.sampled_from(("https://", "http://", "", "javascript:", "x:")),
)
def test_whatever_is_read_as_a_redirect_uri_means_the_same_to_another_reader(rest: str, start: str) -> None:
    try:
        uri = parse(start + rest)
    except RedirectUriError:
        return
    other = urlsplit(uri.text)
    assert uri.scheme == other.scheme
    assert uri.scheme in {"http", "https", *APP_SCHEMES} or "." in uri.scheme
    assert (other.username, other.fragment) == (None, "")
    if uri.kind != "App":
        assert (uri.host.strip("[]"), uri.port) == (other.hostname, other.port)
    assert uri.scheme != "http" or uri.host in {"localhost", "[::1]"} or uri.host.startswith("127.")


@given(st.sampled_from((CLAUDE, "cursor://anysphere.cursor-mcp/oauth/callback", "http://127.0.0.1:1/callback")), st.data())
def test_nothing_that_differs_from_a_registered_one_is_matched_but_for_the_loopback_port(registered: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(registered)))
    length = data.draw(st.integers(0, 2))
    given_ = registered[:place] + data.draw(st.text(alphabet=string.printable, max_size=3)) + registered[place + length :]
    found = match([registered], given_)
    assert (found is None) or given_ == registered or _without_port(given_) == _without_port(registered)


def _without_port(text: str) -> tuple[str, str | None, str, str]:
    parts = urlsplit(text)
    return (parts.scheme, parts.hostname, parts.path, parts.query) if parts.hostname == "127.0.0.1" else ("", text, "", "")
