"""One of each page of the authorization server."""

from collections.abc import Callable

from wharfinger_oauth.client import Client
from wharfinger_oauth.pages import Choice, Connected, ConnectedGrant, Consent, Pages, Scope, Switch
from wharfinger_oauth.redirect_uri import parse
from wharfinger_oauth.request import Response

PAGES = Pages("https://mcp.example")
CALLBACK = parse("https://claude.ai/api/mcp/auth_callback")
LOOPBACK = parse("http://localhost:51004/callback")
CURSOR = parse("cursor://anysphere.cursor-mcp/oauth/callback")
SWITCH = Switch("/oauth/login/switch", "sealed-request", "switch-token")
CONSENT = Consent(
    user="okta:alice",
    client=Client("dcr1.a", "Claude", (CALLBACK.text,), "Registration"),
    redirect=CALLBACK,
    gateway_title="Developer tools",
    gateway_url="https://mcp.example/v1/mcp/dev.tools",
    scopes=(Scope("tools", "call the tools of this gateway"),),
    idle_seconds=14 * 86_400,
    lifetime_seconds=30 * 86_400,
    action="/oauth/consent",
    connected_url="/oauth/connected",
    switch=SWITCH,
    request="sealed-request",
    csrf="csrf-token",
)
CONNECTED = Connected(
    "okta:alice", (ConnectedGrant("g1", "Claude", "Developer tools", 1_790_000_000, 1_792_592_000, 1_790_003_600),), "/oauth/revoke", "t"
)
EVERY: dict[str, Callable[[], Response]] = {
    "login": lambda: PAGES.login([Choice("Okta", "/oauth/login?idp=okta&request=a"), Choice("Entra", "/oauth/login?idp=entra&request=a")]),
    "consent": lambda: PAGES.consent(CONSENT),
    "connected": lambda: PAGES.connected(CONNECTED),
    "error": lambda: PAGES.error(400, "This link cannot be used", "Start again in the application that sent you here.", "unknown_client"),
    "refused": lambda: PAGES.error(403, "You cannot use this gateway", "Ask its owner, or log in as somebody else.", switch=SWITCH),
    "done": lambda: PAGES.done("Signed out", "You can close this page."),
}
