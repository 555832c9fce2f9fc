"""What people see: choose a login, allow or deny, errors, connected applications. Without any script. Pure.

Each page holds values that strangers chose (names, URLs): templates escape everything, nothing is loaded from elsewhere, and the policy of each
page says so to the browser (CSP 3).
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jinja2
from markupsafe import Markup

from wharfinger_oauth.client import Client
from wharfinger_oauth.redirect_uri import APP_SCHEMES, RedirectUri
from wharfinger_oauth.request import Response

_TEMPLATES: Final = Path(__file__).parent / "templates"
_STYLE: Final = (_TEMPLATES / "style.css").read_bytes()
STYLESHEET_PATH: Final = f"/oauth/style-{hashlib.sha256(_STYLE).hexdigest()[:12]}.css"
"""Below the public URL."""
_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class Choice:
    """An identity provider to log in at."""

    title: str
    url: str = field(repr=False)
    """A link, not a form: browsers hold the redirects that follow a form against the page's policy, and a provider's lead anywhere."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Something a client asks for."""

    name: str
    meaning: str
    """After "may", for people."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A form with which somebody else signs in for the same request; it sends `request` and `csrf`."""

    action: str
    """A path of this origin."""
    request: str = field(repr=False)
    csrf: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person is asked; the form sends `request`, `csrf` and `answer`, which is `allow` or `deny`."""

    user: str
    client: Client
    redirect: RedirectUri
    gateway_title: str
    gateway_url: str
    scopes: tuple[Scope, ...]
    idle_seconds: int
    """Access that is not used for so long ends."""
    lifetime_seconds: int
    """However much it is used."""
    action: str
    """Where the answer goes: a path of this origin."""
    connected_url: str
    switch: Switch
    request: str = field(repr=False)
    csrf: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectedGrant:
    """An application that has access; the times are seconds since the epoch."""

    id: str
    client_name: str
    gateway_title: str
    since: int
    ends: int
    last_used: int | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """A person's applications; each has a form that sends `grant` and `csrf`."""

    user: str
    grants: tuple[ConnectedGrant, ...]
    action: str
    """A path of this origin."""
    csrf: str = field(repr=False)


class Pages:
    """The pages of one platform."""

    def __init__(self, public_url: str) -> None:
        self._stylesheet = urlsplit(public_url).path.rstrip("/") + STYLESHEET_PATH

    def login(self, choices: Sequence[Choice]) -> Response:
        """Ask where to log in."""
        return self._page(200, "login", choices=choices)

    def consent(self, consent: Consent) -> Response:
        """Ask whether a client may have access."""
        return self._page(
            200,
            "consent",
            form_action=_form_action(consent.redirect),
            consent=consent,
            standing=_standing(consent.client),
            warnings=_warnings(consent),
            leads_to=_LEADS_TO[consent.redirect.kind],
            lasts=f"{_span(consent.lifetime_seconds)}; it ends sooner if it is not used for {_span(consent.idle_seconds)}",
        )

    def connected(self, connected: Connected) -> Response:
        """List a person's applications."""
        return self._page(200, "connected", connected=connected, moment=_moment)

    def error(self, status: int, heading: str, text: str, code: str = "", switch: Switch | None = None) -> Response:
        """Say what went wrong and what to do; `code` is for whoever is asked for help."""
        return self._page(status, "error", heading=heading, text=text, code=code, switch=switch)

    def done(self, heading: str, text: str) -> Response:
        """Say that something is done, and that nothing follows."""
        return self._page(200, "done", heading=heading, text=text)

    def _page(self, status: int, template: str, form_action: str = "'self'", **values: Any) -> Response:
        body = _ENVIRONMENT.get_template(f"{template}.html").render(stylesheet=self._stylesheet, **values)
        policy = f"default-src 'none'; style-src 'self'; form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
        return Response(status, body.encode(), {**_HEADERS, "Content-Security-Policy": policy})


def stylesheet() -> Response:
    """Return what all pages look like; its path changes with it."""
    return Response(
        200,
        _STYLE,
        {
            "Content-Type": "text/css; charset=utf-8",
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        },
    )


_LEADS_TO: Final = {
    "Web": "the web site",
    "Loopback": "a program on this computer, at",
    "App": "an app on this device that answers to",
}


def _form_action(redirect: RedirectUri) -> str:
    """Return where the form may lead.

    Browsers hold the redirect that follows a form against the policy of its page, and every redirect that follows that one: web sites lead on to
    programs and apps (vscode.dev does), programs to web sites that say it is done. Our answer leads to the client's redirect URI whatever is
    allowed here, and nobody can put a form into the page.
    """
    match redirect.kind:
        case "App":
            sources = [f"{redirect.scheme}:"]
        case "Loopback":
            # An address of IPv6 is no source (CSP 3 §6.7.2.8).
            sources = [f"{redirect.scheme}:" if redirect.host.startswith("[") else f"{redirect.scheme}://{redirect.host}:*", "https:"]
        case _:
            sources = ["https:", "http://localhost:*", "http://127.0.0.1:*", *(f"{scheme}:" for scheme in sorted(APP_SCHEMES))]
    return " ".join(["'self'", *sources])


def _standing(client: Client) -> str:
    match client.source:
        case "Settings":
            return "registered by the administrator"
        case "Document":
            return f"says {client.host}"
        case _:
            return "unverified name"


def _warnings(consent: Consent) -> tuple[str, ...]:
    client, kind = consent.client, consent.redirect.kind
    if client.source == "Document" and kind != "Web":
        return (
            f"Any program on this computer can pretend to be this application of {client.host}. Allow this only if you started it just now.",
        )
    if client.source == "Registration":
        return ("Nobody checked who this application is: it chose its name itself. Allow this only if you started it just now.",)
    return ()


def _span(seconds: int) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds and seconds % size == 0), _UNITS[-1])
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _moment(seconds: int) -> Markup:
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at.day} {at:%B %Y, %H:%M} UTC")
