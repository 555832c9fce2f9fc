"""Login in a browser: at an identity provider, back again, and then wherever it was needed for."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec

from wharfinger_cluster.errors import ClusterError
from wharfinger_oauth import paths
from wharfinger_oauth.authorization import REQUEST_SECONDS, is_recent
from wharfinger_oauth.browser import Browser, cookies, is_same_site, logged_in, switch_page
from wharfinger_oauth.identity_provider import Failure, FailureReason, RelyingParty
from wharfinger_oauth.logins import Logins
from wharfinger_oauth.pages import Choice, Pages
from wharfinger_oauth.platform import Platform
from wharfinger_oauth.request import Request, Response
from wharfinger_oauth.seal import MAX_LENGTH, Seal
from wharfinger_oauth.subject import Subject

PATHS: Final = (f"{paths.CONSENT}?", paths.CONNECTED)
"""Where a login may lead: what follows them is judged there."""
_log = logging.getLogger(__name__)


class LoginState(msgspec.Struct, frozen=True, array_like=True):
    """What comes back with the identity provider's answer."""

    provider: str
    nonce: str
    verifier: str
    then: str
    """Path of ours to go on at."""
    issued_at: int


class Login:
    """Sends browsers to identity providers and takes them back."""

    def __init__(self, logins: Logins, clock: Callable[[], float] = time.time) -> None:
        self._logins, self._clock = logins, clock

    async def start(self, browser: Browser, platform: Platform, parties: Mapping[str, RelyingParty], then: str) -> Response:
        """Return the way to a login after which `then`, a path of ours, is gone on at: straight to the only provider, else a choice."""
        if len(platform.identity_providers) == 1 and platform.oauth.development_login is None:
            name = platform.identity_providers[0].name
            if name in parties:
                return await self._to(parties[name], browser, platform, then)
        return self._choice(browser, platform, then)

    def switch(self, request: Request, browser: Browser, platform: Platform) -> Response:
        """End the session, and ask where somebody else logs in for the authorization request that the form of a page names.

        There is a choice even of one: browsers hold the redirects that follow a form against the page's policy, and a provider's lead anywhere.
        """
        sealed = request.form.get("request", "")
        proven = is_same_site(request, platform) and browser.proves(switch_page(sealed), request.form.get("csrf", ""), platform.root_key)
        if not proven:
            return Pages(platform.public_url).error(400, "This page has expired", "Go back to the application and start again.")
        return self._choice(Browser(browser.id, None), platform, f"{paths.CONSENT}?{urlencode({'request': sealed})}", anew=True)

    def _choice(self, browser: Browser, platform: Platform, then: str, *, anew: bool = False) -> Response:
        choices = [*self._providers(platform, then, anew=anew), *self._developers(browser, platform, then)]
        if not choices:
            return Pages(platform.public_url).error(
                503, "Nobody can log in yet", "This platform has no identity provider. An administrator can add one to its settings."
            )
        return _with(Pages(platform.public_url).login(choices), browser, platform, self._clock())

    def _providers(self, platform: Platform, then: str, *, anew: bool) -> Iterator[Choice]:
        for one in platform.identity_providers:
            parameters = {"provider": one.name, "then": then, **({"anew": "1"} if anew else {})}
            yield Choice(one.title or one.name, f"{platform.public_url}{paths.LOGIN}?{urlencode(parameters)}")

    def _developers(self, browser: Browser, platform: Platform, then: str) -> Iterator[Choice]:
        for user in platform.oauth.development_login.users if platform.oauth.development_login else ():
            parameters = {"user": user, "then": then, "proof": browser.proof(f"{user} {then}", platform.root_key)}
            yield Choice(
                f"{user}, without any proof (for development only)", f"{platform.public_url}{paths.DEVELOPMENT}?{urlencode(parameters)}"
            )

    async def chosen(self, request: Request, browser: Browser, platform: Platform, parties: Mapping[str, RelyingParty]) -> Response:
        """Return the way to the provider that somebody chose on our page."""
        then, name = request.query.get("then", ""), request.query.get("provider", "")
        if not then.startswith(PATHS) or name not in parties:
            return Pages(platform.public_url).error(400, "This link does not work", "Go back to the application and start again.")
        return await self._to(parties[name], browser, platform, then, anew="anew" in request.query)

    async def _to(self, party: RelyingParty, browser: Browser, platform: Platform, then: str, *, anew: bool = False) -> Response:
        state = LoginState(party.name, secrets.token_urlsafe(16), secrets.token_urlsafe(32), then, int(self._clock()))
        sealed = Seal.of(platform.root_key, "login").seal(state, browser.id)
        if len(sealed) > MAX_LENGTH:
            return Pages(platform.public_url).error(
                400,
                "This request is too long",
                "The application sent more than fits through a login. Ask its maker to send a shorter state.",
            )
        url = await party.authorization_url(sealed, state.nonce, state.verifier, platform.public_url + paths.CALLBACK, anew=anew)
        if isinstance(url, Failure):
            return _failed(url, platform)
        return _with(Response(303, b"", {"Location": url, "Cache-Control": "no-store"}), browser, platform, self._clock())

    async def callback(self, request: Request, browser: Browser, platform: Platform, parties: Mapping[str, RelyingParty]) -> Response:
        """Take a browser back from its identity provider."""
        now = self._clock()
        state = Seal.of(platform.root_key, "login").open(request.query.get("state", ""), LoginState, browser.id)
        party = parties.get(state.provider) if state else None
        if state is None or party is None or not is_recent(state.issued_at, now, REQUEST_SECONDS):
            return Pages(platform.public_url).error(
                400,
                "This login has expired",
                "It was begun in another browser, or too long ago. Go back to the application and start again.",
            )
        if "code" not in request.query:
            foreign = await party.check_issuer(request.query.get("iss"))
            if foreign is not None:
                return _failed(foreign, platform)
            return Pages(platform.public_url).error(
                403, "The login was not completed", "Your identity provider did not let you in. Go back to the application to try again."
            )
        found = await party.finish(
            request.query["code"], state.nonce, state.verifier, platform.public_url + paths.CALLBACK, request.query.get("iss")
        )
        if isinstance(found, Failure):
            return _failed(found, platform)
        try:
            subject = await self._logins.keep(found, platform.root_key)
        except ClusterError:
            return Pages(platform.public_url).error(
                503, "Not available now", "The login cannot be kept at the moment. Go back and try again in a minute."
            )
        return self._in(subject, browser, platform, state.then)

    def development(self, request: Request, browser: Browser, platform: Platform) -> Response:
        """Let anybody be one of the users that the settings name for development."""
        allowed, user, then = platform.oauth.development_login, request.query.get("user", ""), request.query.get("then", "")
        proven = browser.proves(f"{user} {then}", request.query.get("proof", ""), platform.root_key)
        if allowed is None or user not in allowed.users or not proven:
            return Pages(platform.public_url).error(403, "This login is not possible", "Go back to the application and start again.")
        provider, _, name = user.partition(":")
        _log.warning("development login: somebody is %s without any proof", user)
        return self._in(Subject(user, provider, f"{platform.public_url}/development", name, int(self._clock())), browser, platform, then)

    def _in(self, subject: Subject, browser: Browser, platform: Platform, then: str) -> Response:
        # Only what we sealed or proved gets here: `then` is a path of ours.
        location = platform.public_url + then
        return _with(
            Response(303, b"", {"Location": location, "Cache-Control": "no-store"}),
            logged_in(browser, subject, self._clock()),
            platform,
            self._clock(),
        )


def _failed(failure: Failure, platform: Platform) -> Response:
    _log.warning("a login failed: %s: %s", failure.reason, failure.message)
    status = 503 if failure.reason is FailureReason.UNAVAILABLE else 403
    return Pages(platform.public_url).error(status, "The login failed", failure.message)


def _with(response: Response, browser: Browser, platform: Platform, now: float) -> Response:
    return Response(response.status, response.body, response.headers, {**response.cookies, **cookies(browser, platform, now)})
