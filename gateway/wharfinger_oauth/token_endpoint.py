"""The token and the revocation endpoint (RFC 6749 §3.2, RFC 7009).

    parameters ▶ client ▶ what is known ▶ core decides ▶ effects are written ▶ answer

Nothing leaves before what it depends on is written; where the API server cannot be asked, nothing is used up and the client may try again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from wharfinger_cluster.errors import ClusterError
from wharfinger_oauth import assertion_grant, client_grant, code_grant, refresh_grant
from wharfinger_oauth.access_token import AccessToken
from wharfinger_oauth.authorization_server import JWT_BEARER, NO_STORE, Core, CoreRequest, Create, Decided, Known
from wharfinger_oauth.challenge import SCOPE
from wharfinger_oauth.client import Client
from wharfinger_oauth.clients import Clients
from wharfinger_oauth.grant_record import GrantRecord, NoGrantError, is_genuine, read_refresh_token
from wharfinger_oauth.grants import Grants, UsedError
from wharfinger_oauth.identity_assertion import Assertion, Expected, RefusedAssertion, Target, read_assertion
from wharfinger_oauth.identity_provider import RelyingParty
from wharfinger_oauth.issuers import TrustedIssuer
from wharfinger_oauth.logins import Logins, Outcome
from wharfinger_oauth.platform import Platform
from wharfinger_oauth.request import Request, Response
from wharfinger_oauth.subject import Subject
from wharfinger_oauth.unavailable import Unavailable

ATTEMPTS: Final = 3
"""How often a refresh is decided anew because somebody else refreshed at the same moment."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Providers:
    """The identity providers of now."""

    issuers: Mapping[str, TrustedIssuer]
    """By issuer."""
    parties: Mapping[str, RelyingParty]
    """By name."""


class TokenEndpoint:
    """Gives out tokens, and takes them back."""

    def __init__(self, grants: Grants, logins: Logins, clock: Callable[[], float] = time.time) -> None:
        self._grants, self._logins, self._clock = grants, logins, clock

    async def token(self, request: Request, platform: Platform, clients: Clients, providers: Providers) -> Response:
        """Answer a token request."""
        if problem := _malformed(request):
            return problem
        client = await clients.authenticated(request)
        if isinstance(client, Unavailable):
            return _wait("a client cannot prove itself", client)
        asserted = await self._asserted(request, platform, client, providers.issuers)
        if isinstance(asserted, Unavailable):
            return _wait("an assertion cannot be verified", asserted)
        try:
            return await self._decided(request, platform, client, asserted, providers.parties)
        except ClusterError as error:
            _log.warning("a token request waits for the API server: %s", error)
            return unavailable()

    async def _asserted(
        self, request: Request, platform: Platform, client: Client | None, issuers: Mapping[str, TrustedIssuer]
    ) -> Assertion | RefusedAssertion | Unavailable | None:
        form = request.form
        if form.get("grant_type") != JWT_BEARER or client is None or "assertion" not in form:
            return None

        def named_by(resource: str) -> Target | None:
            found = platform.named_by(resource)
            return Target(found.id, frozenset({SCOPE}), found.assertions_of) if found else None

        scopes = frozenset(form["scope"].split()) if form.get("scope") else None
        expected = Expected(platform.public_url, client.id, client.confidential, named_by, form.get("resource"), scopes)
        return await read_assertion(form["assertion"], issuers, expected, self._clock())

    async def _decided(
        self,
        request: Request,
        platform: Platform,
        client: Client | None,
        asserted: Assertion | RefusedAssertion | None,
        parties: Mapping[str, RelyingParty],
    ) -> Response:
        for _ in range(ATTEMPTS):
            grant = await self._presented(request, platform)
            if grant is not None and client is not None and grant.client == client.digest:
                current = await self._as_of_now(request, grant, platform, parties)
                if current is Outcome.UNAVAILABLE:
                    return unavailable()
                if current is Outcome.ENDED:
                    await self._grants.revoke(grant.name)
                    return error("invalid_grant", "the identity provider does not know the user any more")
                grant = replace(grant, subject=current) if isinstance(current, Subject) else grant
            known = Known(platform, self._clock(), client, proven=client is not None, grant=grant, assertion=asserted)
            decided = decide(request, known)
            try:
                await self._carry_out(decided, known)
            except UsedError:
                if any(isinstance(effect, Create) for effect in decided.effects):
                    _log.warning("a code or an assertion was used twice, or a client's grant was revoked: it has ended")
                    return error("invalid_grant", "it was used before, or revoked")
                continue
            return decided.response
        return unavailable()

    async def _as_of_now(
        self, request: Request, grant: GrantRecord, platform: Platform, parties: Mapping[str, RelyingParty]
    ) -> Subject | Outcome | None:
        """Return who the grant's person is today; None where that cannot be asked, or need not be for this token."""
        genuine = is_genuine(request.form.get("refresh_token", ""), grant, platform.root_key)
        if not grant.subject.login or not genuine or not grant.counts(self._clock()):
            return None
        party = parties.get(grant.subject.identity_provider)
        if party is None:
            # One that is gone is refused below; one whose client secret is missing will be asked later.
            return Outcome.UNAVAILABLE if platform.trusts(grant.subject) else None
        return await self._logins.again(grant.subject, party, platform.root_key, platform.access_lifetime / 2)

    async def revoke(self, request: Request, platform: Platform, clients: Clients) -> Response:
        """Answer a revocation request: whatever was no token of the client is not one afterwards either (RFC 7009 §2.2)."""
        if problem := _malformed(request):
            return problem
        client = await clients.authenticated(request)
        if isinstance(client, Unavailable):
            return _wait("a client cannot prove itself", client)
        if client is None:
            return error("invalid_client", "The client is unknown, or did not prove itself in the way that it registered", 401)
        text = request.form.get("token")
        if text is None:
            return error("invalid_request", "token is missing")
        try:
            record = await self._grant_of(text, platform)
            if record is not None and record.client == client.digest:
                await self._grants.revoke(record.name)
        except ClusterError as problem_:
            _log.warning("a revocation waits for the API server: %s", problem_)
            return unavailable()
        return Response(200, b"{}", {**NO_STORE, "Content-Type": "application/json"})

    async def _grant_of(self, text: str, platform: Platform) -> GrantRecord | None:
        """Return the grant of a refresh token or of an access token."""
        access: AccessToken | None = platform.keys.verify(text, platform.public_url, self._clock())
        if access is not None:
            return await self._find(access.gid, platform)
        read = read_refresh_token(text)
        record = await self._find(read[0], platform) if read else None
        return record if record is not None and is_genuine(text, record, platform.root_key) else None

    async def _presented(self, request: Request, platform: Platform) -> GrantRecord | None:
        read = read_refresh_token(request.form.get("refresh_token", ""))
        return await self._find(read[0], platform) if read and request.form.get("grant_type") == "refresh_token" else None

    async def _find(self, name: str, platform: Platform) -> GrantRecord | None:
        try:
            return await self._grants.find(name, platform.root_key)
        except NoGrantError as problem:
            _log.warning("McpGrant %s does not count: %s", name, problem)
            return None

    async def _carry_out(self, decided: Decided, known: Known) -> None:
        for effect in decided.effects:
            if isinstance(effect, Create) and effect.shared:
                await self._grants.share(effect.record, known.platform.root_key, known.now)
            elif isinstance(effect, Create):
                await self._grants.create(effect.record, known.platform.root_key)
                await self._grants.end_oldest(effect.record.subject.user, effect.record.name, known.now)
            else:
                await self._grants.refresh(effect.record, known.now, known.platform.root_key)
        if decided.ends is not None:
            _log.warning("a refresh token of McpGrant %s was used again: the grant has ended", decided.ends)
            await self._grants.revoke(decided.ends)


def decide(request: Request, known: Known) -> Decided:
    """Return the answer to a token request, and what must be written first. Pure."""
    core = Core(known)
    for grant in (code_grant, refresh_grant, assertion_grant, client_grant):
        grant.register(core)
    asked = CoreRequest("POST", f"{known.platform.public_url}{request.path}", request.form)
    response: Response = core.create_token_response(asked)
    return Decided(response, tuple(core.effects) if response.status == 200 else (), core.ends)


def error(code: str, description: str, status: int = 400) -> Response:
    """Return an error of OAuth (RFC 6749 §5.2)."""
    body = msgspec.json.encode({"error": code, "error_description": description})
    return Response(status, body, {**NO_STORE, "Content-Type": "application/json"})


def unavailable(seconds: int = 2) -> Response:
    """Return the answer where what must be asked does not answer, and may after so many seconds; nothing was used up."""
    return error("temporarily_unavailable", "try again", 503).with_headers({"Retry-After": str(seconds)})


def _wait(what: str, why: Unavailable) -> Response:
    _log.warning("%s: %s", what, why.message)
    return unavailable(why.retry_after)


def _malformed(request: Request) -> Response | None:
    if request.query:
        return error("invalid_request", "parameters belong into the body, not into the URL")
    return None if request.form else error("invalid_request", "send one application/x-www-form-urlencoded body, each parameter once")
