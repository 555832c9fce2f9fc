"""Requests of browsers: which path leads where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from wharfinger_crds.address_ranges import Network
from wharfinger_oauth import paths
from wharfinger_oauth.browser import Browser
from wharfinger_oauth.client_assertion import Assertions
from wharfinger_oauth.clients import Clients
from wharfinger_oauth.connected import ConnectedApplications
from wharfinger_oauth.consent import Consent
from wharfinger_oauth.identity_provider import RelyingParty
from wharfinger_oauth.issuers import TrustedIssuer
from wharfinger_oauth.login import Login
from wharfinger_oauth.platform import Platform
from wharfinger_oauth.request import Request, Response


@dataclass(frozen=True, slots=True)
class Parts:
    """What one platform's settings come to."""

    platform: Platform
    clients: Clients
    issuers: Mapping[str, TrustedIssuer]
    parties: Mapping[str, RelyingParty]
    assertions: Assertions
    proxies: tuple[Network, ...]
    """That are believed whom they forward for."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser's request."""

    request: Request
    browser: Browser
    parts: Parts


Route = Callable[[Visit], Awaitable[Response]]


def routes(login: Login, consent: Consent, connected: ConnectedApplications) -> Mapping[tuple[str, str], Route]:
    """Return what answers browsers, by verb and path."""

    def to_login(visit: Visit) -> Callable[[str], Awaitable[Response]]:
        return partial(login.start, visit.browser, visit.parts.platform, visit.parts.parties)

    async def authorize(visit: Visit) -> Response:
        return await consent.authorize(visit.request, visit.browser, visit.parts.platform, visit.parts.clients)

    async def ask(visit: Visit) -> Response:
        return await consent.page(visit.request, visit.browser, visit.parts.platform, visit.parts.clients, to_login(visit))

    async def answer(visit: Visit) -> Response:
        return await consent.answer(visit.request, visit.browser, visit.parts.platform, visit.parts.clients)

    async def applications(visit: Visit) -> Response:
        return await connected.page(visit.browser, visit.parts.platform, to_login(visit))

    async def revoke(visit: Visit) -> Response:
        return await connected.revoke(visit.request, visit.browser, visit.parts.platform)

    return MappingProxyType(
        {
            **_logins(login),
            ("GET", paths.AUTHORIZE): authorize,
            ("GET", paths.CONSENT): ask,
            ("POST", paths.CONSENT): answer,
            ("GET", paths.CONNECTED): applications,
            ("POST", paths.CONNECTED): revoke,
        }
    )


def _logins(login: Login) -> Mapping[tuple[str, str], Route]:
    async def chosen(visit: Visit) -> Response:
        return await login.chosen(visit.request, visit.browser, visit.parts.platform, visit.parts.parties)

    async def switch(visit: Visit) -> Response:
        return login.switch(visit.request, visit.browser, visit.parts.platform)

    async def development(visit: Visit) -> Response:
        return login.development(visit.request, visit.browser, visit.parts.platform)

    async def callback(visit: Visit) -> Response:
        return await login.callback(visit.request, visit.browser, visit.parts.platform, visit.parts.parties)

    return {
        ("GET", paths.LOGIN): chosen,
        ("POST", paths.SWITCH): switch,
        ("GET", paths.DEVELOPMENT): development,
        ("GET", paths.CALLBACK): callback,
    }
