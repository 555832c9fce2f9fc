"""How callers come in beside McpTokens: the authorization server, and what is known of bearer tokens, over one cluster."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from wharfinger_cluster.client import Cluster
from wharfinger_crds.settings import ServiceAccount
from wharfinger_gateway.bearers import Bearers
from wharfinger_gateway.current import Current
from wharfinger_gateway.grant_index import WatchedGrants
from wharfinger_gateway.limits import Buckets
from wharfinger_gateway.oauth_answers import OAuthAnswers
from wharfinger_gateway.platforms import Platforms
from wharfinger_gateway.provider_keys import ProviderKeys
from wharfinger_oauth.documents import Documents
from wharfinger_oauth.grants import Grants
from wharfinger_oauth.guarded_http import Fetcher
from wharfinger_oauth.logins import Logins
from wharfinger_oauth.peers import Peers
from wharfinger_oauth.request import Request, Response
from wharfinger_oauth.server import AuthorizationServer, Outside, Stores
from wharfinger_oauth.service_account import ServiceAccounts
from wharfinger_oauth.unavailable import Unavailable

PROVIDER_SECONDS = 5.0
"""How long an identity provider may take to answer."""


@dataclass(frozen=True, slots=True)
class Doors:
    """The doors of one gateway process."""

    grants: WatchedGrants
    keys: ProviderKeys
    answers: OAuthAnswers
    _server: AuthorizationServer

    async def answer(self, request: Request) -> Response | None:
        """Answer a request to the authorization server; None where it is none."""
        found = await self._server.serve(request)
        if found is not None:
            self.answers.count(request.path, found.status)
        return found


@asynccontextmanager
async def opened(cluster: Cluster, namespace: str, current: Current, clock: Callable[[], float] = time.time) -> AsyncIterator[Doors]:
    """Give the doors, and have `current` know what comes in by them; at the end, end what they do beside."""

    def root_key() -> bytes | None:
        return current.root_key

    grants = WatchedGrants(cluster, namespace, root_key, current.changed, lambda: current.on_change())  # noqa: PLW0108 - it is set later
    accounts = ServiceAccounts(cluster)
    platforms = Platforms(current)
    # One client for identity providers: administrators name them, and nothing of the environment decides how they are reached.
    async with httpx.AsyncClient(timeout=PROVIDER_SECONDS, follow_redirects=False, trust_env=False) as http, Fetcher() as fetcher:
        stores = Stores(Grants(cluster, namespace), Logins(cluster, namespace, clock))
        server = AuthorizationServer(platforms, stores, Outside(http, Documents(fetcher), Peers(Buckets())), clock)

        async def review(text: str, audiences: tuple[str, ...]) -> ServiceAccount | Unavailable | None:
            return await accounts.identify(text, audiences)

        bearers = Bearers(platforms, grants, server.issuers, review, clock)
        bearers.note, current.bearers = current.bearers.note, bearers
        try:
            yield Doors(grants, ProviderKeys(server.issuers), OAuthAnswers(), server)
        finally:
            accounts.close()
            server.close()
