"""The browser at the other end: which one it is, and who has logged in there. Sealed cookies, nothing stored.

Invariants: a cookie of another purpose or another platform is none; a login makes a new session, so that nobody can hand his own session's
id to somebody else; forms carry a proof that the page they are on was made for this session.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

import msgspec

from wharfinger_crds.derived_key import derived_key
from wharfinger_oauth.platform import Platform
from wharfinger_oauth.request import Request
from wharfinger_oauth.seal import Seal
from wharfinger_oauth.subject import Subject

IDLE: Final = 3_600
ABSOLUTE: Final = 12 * 3_600
_ID_LENGTH: Final = 22


class Session(msgspec.Struct, frozen=True, array_like=True):
    """Somebody who logged in."""

    id: str
    subject: Subject
    began: int
    seen: int

    def counts(self, now: float) -> bool:
        """Tell whether he still is."""
        return now - self.began + 60 >= 0 and now - self.began < ABSOLUTE and now - self.seen < IDLE


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser, by its cookies."""

    id: str = field(repr=False)
    session: Session | None = field(repr=False)

    def proof(self, page: str, root_key: bytes) -> str:
        """Return what a form of a page carries, against forgery from other sites."""
        session = self.session.id if self.session else self.id
        key = derived_key(root_key, "oauth form v1")
        return hmac.digest(key, f"{session}|{self.id}|{page}".encode(), hashlib.sha256).hex()[:48]

    def proves(self, page: str, given: str, root_key: bytes) -> bool:
        """Tell whether a form is of a page that was made for this session."""
        return given.isascii() and hmac.compare_digest(self.proof(page, root_key), given)


def switch_page(sealed: str) -> str:
    """Return the page, as `proof` takes it, of the form with which somebody else takes over an authorization request."""
    return f"switch {sealed}"


def browser_of(request: Request, platform: Platform, now: float) -> Browser:
    """Return the browser that a request comes from; one without a cookie is new."""
    known = request.cookies.get(_name(platform, "browser"), "")
    is_new = not (len(known) == _ID_LENGTH and known.isascii() and known.replace("-", "").replace("_", "").isalnum())
    identity = secrets.token_urlsafe(16) if is_new else known
    sealed = request.cookies.get(_name(platform, "session"), "")
    session = Seal.of(platform.root_key, "session").open(sealed, Session, identity) if sealed and not is_new else None
    return Browser(identity, session if session is not None and session.counts(now) else None)


def logged_in(browser: Browser, subject: Subject, now: float) -> Browser:
    """Return the browser with a new session."""
    return Browser(browser.id, Session(secrets.token_urlsafe(16), subject, int(now), int(now)))


def cookies(browser: Browser, platform: Platform, now: float) -> dict[str, str]:
    """Return the cookies that make the browser known again."""
    flags = f"; Path={platform.path or '/'}; HttpOnly; SameSite=Lax" + ("; Secure" if platform.is_https else "")
    session = browser.session
    sealed = ""
    if session is not None:
        renewed = Session(session.id, session.subject, session.began, int(now))
        sealed = Seal.of(platform.root_key, "session").seal(renewed, browser.id)
    return {
        _name(platform, "browser"): f"{browser.id}{flags}; Max-Age={180 * 86_400}",
        _name(platform, "session"): f"{sealed}{flags}; Max-Age={ABSOLUTE if sealed else 0}",
    }


def is_same_site(request: Request, platform: Platform) -> bool:
    """Tell whether a form was sent from a page of ours, by what the browser says of it (Fetch Metadata, RFC 6454)."""
    site = request.header("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = request.header("origin")
    return origin is None or origin.lower() == _origin(platform.public_url) or (origin == "null" and site == "same-origin")


def _origin(url: str) -> str:
    scheme, _, rest = url.lower().partition("://")
    default = {"https": ":443", "http": ":80"}.get(scheme, "")
    return f"{scheme}://{rest.partition('/')[0].removesuffix(default)}"


def _name(platform: Platform, what: str) -> str:
    # The prefix keeps other hosts of the domain from setting it; browsers take it over TLS only, and for the whole host only (RFC 6265bis
    # §4.1.3). Whoever shares a host is rather kept from reading it.
    prefix = ("__Secure-" if platform.path else "__Host-") if platform.is_https else ""
    return f"{prefix}wharfinger-{what}"
