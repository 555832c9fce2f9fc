"""Connected applications: what a person gave access to, and taking it away again."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from wharfinger_cluster.errors import ClusterError
from wharfinger_oauth import paths
from wharfinger_oauth.browser import Browser, cookies, is_same_site
from wharfinger_oauth.grants import Grants
from wharfinger_oauth.pages import Connected, ConnectedGrant, Pages
from wharfinger_oauth.platform import Platform
from wharfinger_oauth.request import Request, Response

_PAGE = "connected"


class ConnectedApplications:
    """The page of a person's grants."""

    def __init__(self, grants: Grants, clock: Callable[[], float] = time.time) -> None:
        self._grants, self._clock = grants, clock

    async def page(self, browser: Browser, platform: Platform, login: Callable[[str], Awaitable[Response]]) -> Response:
        """Return the page, or the way to a login."""
        if browser.session is None:
            return await login(paths.CONNECTED)
        user = browser.session.subject.user
        try:
            found = await self._grants.of_user(user, self._clock())
        except ClusterError:
            return _unavailable(platform)
        shown = tuple(
            ConnectedGrant(one.name, one.client_name, _title(platform, one.gateway), one.since, one.ends, one.last_used) for one in found
        )
        answer = Pages(platform.public_url).connected(
            Connected(user, shown, platform.public_url + paths.CONNECTED, browser.proof(_PAGE, platform.root_key))
        )
        return Response(answer.status, answer.body, answer.headers, cookies(browser, platform, self._clock()))

    async def revoke(self, request: Request, browser: Browser, platform: Platform) -> Response:
        """Take the access away that a form of the page names."""
        proven = is_same_site(request, platform) and browser.proves(_PAGE, request.form.get("csrf", ""), platform.root_key)
        if browser.session is None or not proven:
            return Pages(platform.public_url).error(400, "This page has expired", "Open it again and repeat what you did.")
        try:
            own = await self._grants.of_user(browser.session.subject.user, self._clock())
            if any(one.name == request.form.get("grant") for one in own):
                await self._grants.revoke(request.form["grant"])
        except ClusterError:
            return _unavailable(platform)
        return Response(303, b"", {"Location": platform.public_url + paths.CONNECTED, "Cache-Control": "no-store"})


def _title(platform: Platform, gateway: str) -> str:
    found = platform.resources.get(gateway)
    return found.title if found else gateway


def _unavailable(platform: Platform) -> Response:
    return Pages(platform.public_url).error(
        503, "Not available now", "The platform cannot look this up at the moment. Try again in a minute."
    )
