"""The authorization endpoint: a client's request, a login where there is none yet, and the person's own word.

    authorize ▶ validate ▶ (login) ▶ consent page ▶ the person's answer ▶ code

The one place where a code is made is the answer to the consent page, by the person who is logged in, in the browser that it began in. A
browser is sent to a client only after client and redirect URI were found to belong together; until then there is a page.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import OAuth2Error

from wharfinger_oauth import code_grant, paths, redirect_uri
from wharfinger_oauth.authorization import REQUEST_SECONDS, AuthorizationRequest, is_recent
from wharfinger_oauth.authorization_server import Core, CoreRequest, Known, resource_of
from wharfinger_oauth.browser import Browser, cookies, is_same_site, switch_page
from wharfinger_oauth.challenge import SCOPE
from wharfinger_oauth.client import Client
from wharfinger_oauth.clients import Clients
from wharfinger_oauth.pages import Consent as Question
from wharfinger_oauth.pages import Pages, Scope, Switch
from wharfinger_oauth.platform import Platform
from wharfinger_oauth.request import Request, Response
from wharfinger_oauth.seal import MAX_LENGTH, Seal

Start = Callable[[str], Awaitable[Response]]
"""Begins a login that ends at a path of ours."""


class Consent:
    """Asks people what clients may do."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    async def authorize(self, request: Request, browser: Browser, platform: Platform, clients: Clients) -> Response:
        """Answer an authorization request: a page of ours, or an error for the client."""
        asked, now = request.query, self._clock()
        client = await clients.find(asked.get("client_id", ""))
        if client is None:
            return _unknown_client(platform)
        known = Known(platform, now, client)
        core = Core(known)
        code_grant.register(core)
        try:
            core.get_consent_grant(CoreRequest("GET", platform.public_url + request.path, asked))
            resource = resource_of(platform, asked)
        except OAuth2Error as error:
            return _refused(error, asked, client, platform)
        wanted = AuthorizationRequest(
            client.id, asked["redirect_uri"], asked.get("state"), asked.get("scope", ""), resource.id, asked["code_challenge"],
            browser.id, int(now),
        )  # fmt: skip
        sealed = Seal.of(platform.root_key, "areq").seal(wanted)
        if len(sealed) > MAX_LENGTH:
            return _redirect(wanted, platform, error="invalid_request", error_description="state or redirect_uri is too long")
        location = f"{platform.public_url}{paths.CONSENT}?request={quote(sealed, safe='')}"
        return Response(303, b"", {"Location": location, "Cache-Control": "no-store"}, cookies(browser, platform, now))

    async def page(self, request: Request, browser: Browser, platform: Platform, clients: Clients, login: Start) -> Response:
        """Return the page that asks, or the way to a login."""
        sealed = request.query.get("request", "")
        wanted = self._opened(sealed, browser, platform)
        client = await clients.find(wanted.client_id) if wanted else None
        if wanted is None or client is None:
            return _expired(platform)
        if browser.session is None:
            return await login(f"{paths.CONSENT}?request={quote(sealed, safe='')}")
        subject, resource = browser.session.subject, platform.resources.get(wanted.gateway)
        switch = Switch(platform.public_url + paths.SWITCH, sealed, browser.proof(switch_page(sealed), platform.root_key))
        if resource is None or not resource.oauth or not platform.sees(subject, wanted.gateway):
            return Pages(platform.public_url).error(
                403,
                "You cannot use this gateway",
                f"{subject.user} is logged in, and may not use it. Ask its owner, or log in as somebody else.",
                switch=switch,
            )
        question = Question(
            user=subject.user,
            client=client,
            redirect=redirect_uri.parse(wanted.redirect_uri),
            gateway_title=resource.title,
            gateway_url=platform.url_of(resource.id),
            scopes=(Scope(SCOPE, "use the tools, prompts and resources that this gateway offers, as you"),),
            idle_seconds=platform.refresh_idle,
            lifetime_seconds=platform.refresh_lifetime,
            action=platform.public_url + paths.CONSENT,
            connected_url=platform.public_url + paths.CONNECTED,
            switch=switch,
            request=sealed,
            csrf=browser.proof(sealed, platform.root_key),
        )
        answer = Pages(platform.public_url).consent(question)
        return Response(answer.status, answer.body, answer.headers, cookies(browser, platform, self._clock()))

    async def answer(self, request: Request, browser: Browser, platform: Platform, clients: Clients) -> Response:
        """Take the person's answer: a code for the client, or none."""
        sealed = request.form.get("request", "")
        wanted = self._opened(sealed, browser, platform)
        client = await clients.find(wanted.client_id) if wanted else None
        proven = is_same_site(request, platform) and browser.proves(sealed, request.form.get("csrf", ""), platform.root_key)
        if wanted is None or client is None or browser.session is None or not proven:
            return _expired(platform)
        if request.form.get("answer") != "allow":
            return _redirect(wanted, platform, error="access_denied", error_description="the user said no")
        subject = browser.session.subject
        if not platform.sees(subject, wanted.gateway):
            return _redirect(wanted, platform, error="access_denied", error_description="the user may not use the gateway")
        core = Core(Known(platform, self._clock(), client))
        code_grant.register(core)
        asked = CoreRequest("POST", platform.public_url + paths.CONSENT, wanted.parameters(platform.url_of(wanted.gateway)))
        try:
            granted = core.create_authorization_response(asked, subject, core.get_consent_grant(asked))
        except OAuth2Error as error:
            return _refused(error, asked.form, client, platform)
        location = add_params_to_uri(granted.headers["Location"], [("iss", platform.public_url)])
        return Response(303, b"", {**granted.headers, "Location": location})

    def _opened(self, sealed: str, browser: Browser, platform: Platform) -> AuthorizationRequest | None:
        found = Seal.of(platform.root_key, "areq").open(sealed, AuthorizationRequest)
        fresh = found is not None and found.browser == browser.id and is_recent(found.issued_at, self._clock(), REQUEST_SECONDS)
        return found if fresh else None


def _refused(error: OAuth2Error, asked: object, client: Client, platform: Platform) -> Response:
    """Return an error: to the client where its redirect URI is one of its own, else as a page (RFC 6749 §4.1.2.1)."""
    parameters: dict[str, str] = dict(asked)  # type: ignore[call-overload]
    uri = redirect_uri.match(client.redirect_uris, parameters.get("redirect_uri", ""))
    if uri is None:
        return Pages(platform.public_url).error(
            400,
            "This link does not work",
            "The application asks to be answered at an address that is not one of its own. Nothing was given to it.",
        )
    wanted = AuthorizationRequest(client.id, uri.text, parameters.get("state"), "", "", "", "", 0)
    return _redirect(wanted, platform, error=error.error, error_description=error.description or "")


def _redirect(wanted: AuthorizationRequest, platform: Platform, **parameters: str) -> Response:
    pairs = [(key, value) for key, value in parameters.items() if value]
    if wanted.state:
        pairs.append(("state", wanted.state))
    location = add_params_to_uri(wanted.redirect_uri, [*pairs, ("iss", platform.public_url)])
    return Response(303, b"", {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _unknown_client(platform: Platform) -> Response:
    return Pages(platform.public_url).error(
        400,
        "This application is not known here",
        "It must register first: remove the connection in the application and add it again. "
        "Or what its maker publishes about it cannot be read: if it is so in some minutes, ask the administrator.",
    )


def _expired(platform: Platform) -> Response:
    return Pages(platform.public_url).error(
        400, "This page has expired", "It was opened in another browser, or too long ago. Go back to the application and start again."
    )
