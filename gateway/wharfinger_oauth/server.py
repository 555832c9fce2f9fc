"""The authorization server: which path leads where. What is answered is decided in the modules that it names.

Everything that a request needs of the settings is worked out once for each `Platform`, and thrown away with it; documents, key sets and used
assertions outlive it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import httpx

from wharfinger_crds.address_ranges import network
from wharfinger_oauth import metadata, pages, paths, registration
from wharfinger_oauth.browser import browser_of
from wharfinger_oauth.client_assertion import Assertions
from wharfinger_oauth.client_keys import ClientKeys
from wharfinger_oauth.clients import Clients, Proofs
from wharfinger_oauth.connected import ConnectedApplications
from wharfinger_oauth.consent import Consent
from wharfinger_oauth.documents import Documents
from wharfinger_oauth.grants import Grants
from wharfinger_oauth.identity_provider import RelyingParty
from wharfinger_oauth.issuers import TrustedIssuer, trusted_issuers
from wharfinger_oauth.login import Login
from wharfinger_oauth.logins import Logins
from wharfinger_oauth.peers import Peers
from wharfinger_oauth.platform import Platform, secret_at
from wharfinger_oauth.request import Request, Response
from wharfinger_oauth.token_endpoint import Providers, TokenEndpoint, error, unavailable
from wharfinger_oauth.visits import Parts, Visit, routes

AT_ONCE: Final = 64
"""Requests that are answered at a time; more are told to come back. Those that begin a login are counted apart: they may wait for documents
of strangers, and must hold up nobody who is in the middle of one.
"""
_ACROSS_ORIGINS: Final = frozenset({paths.TOKEN, paths.REGISTER, paths.REVOKE, paths.JWKS})
"""Pages of other sites may use them (CORS): no cookie counts there."""
_OPEN: Final[Mapping[str, str]] = {"Access-Control-Allow-Origin": "*"}
_PREFLIGHT: Final[Mapping[str, str]] = {
    **_OPEN,
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, MCP-Protocol-Version",
    "Access-Control-Max-Age": "3600",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stores:
    """What is kept in the cluster."""

    grants: Grants
    logins: Logins


@dataclass(frozen=True, slots=True)
class Outside:
    """How others are asked, and how much they may ask."""

    http: httpx.AsyncClient
    """For identity providers, which administrators name."""
    documents: Documents
    """Which strangers name."""
    peers: Peers


class AuthorizationServer:
    """Answers requests of browsers and clients that are no calls of gateways."""

    def __init__(
        self,
        platform: Callable[[], Platform | None],
        stores: Stores,
        outside: Outside,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._platform, self._outside, self._clock = platform, outside, clock
        self._tokens = TokenEndpoint(stores.grants, stores.logins, clock)
        self._routes = routes(Login(stores.logins, clock), Consent(clock), ConnectedApplications(stores.grants, clock))
        self._slots, self._beginnings = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(AT_ONCE)
        self._client_keys = ClientKeys(outside.http)
        self._parts: Parts | None = None

    def issuers(self) -> Mapping[str, TrustedIssuer]:
        """Return the identity providers whose tokens count now."""
        parts = self._of_now()
        return parts.issuers if parts else MappingProxyType({})

    def close(self) -> None:
        """End what is fetched of identity providers and clients."""
        self._client_keys.close()
        for one in self._parts.issuers.values() if self._parts else ():
            one.close()

    async def serve(self, request: Request) -> Response | None:
        """Answer a request; None where its path is none of ours."""
        path = paths.ALIASES.get(request.path, request.path)
        if not path.startswith(("/oauth/", "/.well-known/")):
            return None
        parts = self._of_now()
        if parts is None:
            return unavailable()
        wait = self._outside.peers.wait(path, request, parts.proxies, time.monotonic())
        if wait:
            return _too_many(path, parts.platform, wait)
        slots = self._beginnings if path == paths.AUTHORIZE else self._slots
        if slots.locked():
            return unavailable()
        async with slots:
            try:
                answer = await self._answer(request, path, parts)
            except Exception:  # noqa: BLE001 - the last edge: a fault of ours is logged, and the other side learns no more than that
                _log.exception("a request to %s failed", path)
                answer = error("server_error", "the authorization server failed", 500)
        return answer.with_headers(_OPEN) if answer is not None and path in _ACROSS_ORIGINS else answer

    async def _answer(self, request: Request, path: str, parts: Parts) -> Response | None:
        platform = parts.platform
        if request.verb == "OPTIONS" and (path in _ACROSS_ORIGINS or path.startswith("/.well-known/")):
            return Response(204, b"", _PREFLIGHT)
        verb = "GET" if request.verb == "HEAD" else request.verb
        if path.startswith("/.well-known/"):
            return _discovered(path, platform) if verb == "GET" else _not_allowed()
        match verb, path:
            case "GET", paths.JWKS:
                return metadata.key_set(platform)
            case "GET", pages.STYLESHEET_PATH:
                return pages.stylesheet()
            case "POST", paths.REGISTER:
                return registration.register(request.body, platform.oauth.registration, platform.root_key, int(self._clock()))
            case "POST", paths.TOKEN:
                return await self._tokens.token(request, platform, parts.clients, Providers(parts.issuers, parts.parties))
            case "POST", paths.REVOKE:
                return await self._tokens.revoke(request, platform, parts.clients)
        route = self._routes.get((verb, path))
        if route is not None:
            return await route(Visit(request, browser_of(request, platform, self._clock()), parts))
        return _not_allowed() if path in _ACROSS_ORIGINS or any(path == known for _, known in self._routes) else None

    def _of_now(self) -> Parts | None:
        platform = self._platform()
        if platform is None:
            return None
        if self._parts is None or self._parts.platform is not platform:
            self._parts = self._made(platform)
        return self._parts

    def _made(self, platform: Platform) -> Parts:
        before = self._parts.issuers if self._parts else MappingProxyType({})
        issuers = trusted_issuers(platform.identity_providers, before, self._outside.http)
        parties = {
            one.provider.name: RelyingParty(one, self._outside.http, secret, clock=self._clock)
            for one in issuers.values()
            if (secret := secret_at(platform.secrets, one.provider.client_secret_ref)) or one.provider.client_secret_ref is None
        }
        kept = self._parts is not None and self._parts.platform.public_url == platform.public_url
        assertions = self._parts.assertions if kept and self._parts else _assertions(platform, self._clock)
        self._client_keys.only({one.jwks_uri for one in platform.oauth.clients if one.jwks_uri is not None})
        clients = Clients(
            platform.oauth, platform.secrets, platform.root_key, Proofs(self._outside.documents, assertions, self._client_keys)
        )
        return Parts(platform, clients, issuers, MappingProxyType(parties), assertions, tuple(map(network, platform.oauth.trusted_proxies)))


def _assertions(platform: Platform, clock: Callable[[], float]) -> Assertions:
    return Assertions({platform.public_url, platform.public_url + paths.TOKEN}, clock)


def _discovered(path: str, platform: Platform) -> Response | None:
    for known in (paths.SERVER_METADATA, paths.OPENID_METADATA):
        # Some clients look for the server below the gateway's own path.
        if path == known or path.startswith(f"{known}/"):
            return metadata.server_metadata(platform)
    if path.startswith(paths.RESOURCE_METADATA):
        asked = path.removeprefix(paths.RESOURCE_METADATA)
        return metadata.resource_metadata(platform, asked) or metadata.resource_metadata(platform, asked.removeprefix(platform.path))
    return None


def _too_many(path: str, platform: Platform, wait: int) -> Response:
    if path in _ACROSS_ORIGINS:
        answer = error("temporarily_unavailable", "too many requests come from this address", 429).with_headers(_OPEN)
    else:
        text = "Many requests come from where you are. Try again in a minute."
        answer = pages.Pages(platform.public_url).error(429, "Too many requests", text)
    return answer.with_headers({"Retry-After": str(wait)})


def _not_allowed() -> Response:
    return error("invalid_request", "this path takes another HTTP method", 405)
