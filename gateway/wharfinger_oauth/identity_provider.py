"""Login at one identity provider: OpenID Connect Core, code flow with PKCE and nonce, as its client.

Invariants: the provider's documents count only where they name the configured issuer; who answered a login is compared before anything is
sent to a token endpoint (RFC 9207), as plain strings; redirects are not followed; no message holds a code, a token or a secret.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Final
from urllib.parse import quote_plus, urlencode

import httpx

from wharfinger_crds.identity_provider import IdentityProvider
from wharfinger_oauth.claims import ClaimError, needed_claims, subject_of
from wharfinger_oauth.discovery import Metadata
from wharfinger_oauth.issuers import TrustedIssuer
from wharfinger_oauth.provider_http import MAX_BYTES, ask
from wharfinger_oauth.signed_token import LEEWAY, SignedToken, read, signature_fault
from wharfinger_oauth.strict_json import Object
from wharfinger_oauth.subject import Subject
from wharfinger_oauth.unavailable import Unavailable

_ERROR: Final = re.compile(r"[a-z_]{1,64}")
_BEARER: Final = re.compile(r"[-A-Za-z0-9._~+/]{1,16384}=*")
"""RFC 6750 §2.1."""


class FailureReason(StrEnum):
    """Why a login does not go on."""

    UNAVAILABLE = "Unavailable"
    """The provider does not answer, or not as it should: later it may."""
    WRONG_ISSUER = "WrongIssuer"
    """Another one answered than was asked."""
    REFUSED = "Refused"
    """The provider said no."""
    BAD_TOKEN = "BadToken"  # noqa: S105 - a reason
    """What the provider handed out is not what it must be."""
    BAD_CLAIMS = "BadClaims"
    """The person has no name here, or may not come in; the message says which claim."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A login that does not go on."""

    reason: FailureReason
    message: str
    """For the person and the log: deterministic, without secrets."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Who logged in, and what the provider can be asked about him with again."""

    subject: Subject
    refresh_token: str | None = field(repr=False)


class RelyingParty:
    """This platform as a client of one identity provider."""

    def __init__(
        self, trusted: TrustedIssuer, http: httpx.AsyncClient, secret: bytes | None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Take the client secret, or None for a public client; `clock` gives seconds since the epoch."""
        self._trusted, self._http, self._secret, self._clock = trusted, http, secret, clock

    async def authorization_url(self, state: str, nonce: str, verifier: str, redirect_uri: str, *, anew: bool = False) -> str | Failure:
        """Return where to send the browser; `anew` has the provider ask who it is, whoever is logged in there."""
        metadata = await self._metadata()
        if isinstance(metadata, Failure):
            return metadata
        asked = {
            "response_type": "code",
            "client_id": self._provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._provider.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        # Without `consent` providers may leave the refresh token out (OpenID Connect Core §11).
        prompts = [_who(metadata)] * anew + ["consent"] * ("offline_access" in self._provider.scopes)
        if prompts:
            asked["prompt"] = " ".join(prompts)
        mark = "&" if "?" in metadata.authorization_endpoint else "?"
        return f"{metadata.authorization_endpoint}{mark}{urlencode(asked)}"

    async def check_issuer(self, iss: str | None) -> Failure | None:
        """Tell whether an authorization response, an error too, came from somebody else (RFC 9207 §2.4); `finish` does this itself."""
        metadata = await self._metadata()
        return metadata if isinstance(metadata, Failure) else _foreign(iss, metadata)

    async def finish(self, code: str, nonce: str, verifier: str, redirect_uri: str, iss: str | None) -> LoggedIn | Failure:
        """Redeem a code; return who logged in."""
        metadata = await self._metadata()
        if isinstance(metadata, Failure):
            return metadata
        if (foreign := _foreign(iss, metadata)) is not None:
            return foreign
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        tokens = await self._redeem(metadata, form)
        if isinstance(tokens, Failure):
            return tokens
        claims = await self._id_claims(tokens.get("id_token"), nonce)
        return claims if isinstance(claims, Failure) else await self._logged_in(metadata, claims, tokens)

    async def ask_again(self, refresh_token: str, before: Subject) -> LoggedIn | Failure:
        """Return the person of an earlier login as the provider describes him now (OpenID Connect Core §12)."""
        metadata = await self._metadata()
        if isinstance(metadata, Failure):
            return metadata
        tokens = await self._redeem(metadata, {"grant_type": "refresh_token", "refresh_token": refresh_token})
        if isinstance(tokens, Failure):
            return tokens
        claims: Object | Failure = {"sub": before.subject, "auth_time": before.authenticated_at}
        if "id_token" in tokens:
            claims = await self._id_claims(tokens["id_token"], None)
        if isinstance(claims, Failure):
            return claims
        found = await self._logged_in(metadata, claims, tokens)
        if isinstance(found, LoggedIn) and (found.subject.subject, found.subject.user) != (before.subject, before.user):
            return Failure(FailureReason.BAD_TOKEN, "the identity provider spoke of somebody else (sub)")
        return found

    async def _logged_in(self, metadata: Metadata, claims: Object, tokens: Object) -> LoggedIn | Failure:
        whole = await self._with_userinfo(metadata, claims, tokens.get("access_token"))
        if isinstance(whole, Failure):
            return whole
        subject = subject_of(self._provider, whole)
        if isinstance(subject, ClaimError):
            return Failure(FailureReason.BAD_CLAIMS, subject.message)
        refresh_token = tokens.get("refresh_token")
        return LoggedIn(subject, refresh_token if isinstance(refresh_token, str) and refresh_token else None)

    @property
    def name(self) -> str:
        """Return the name that the settings give the provider."""
        return self._provider.name

    @property
    def _provider(self) -> IdentityProvider:
        return self._trusted.provider

    async def _metadata(self) -> Metadata | Failure:
        metadata = await self._trusted.discovery.metadata()
        return _unavailable(metadata) if isinstance(metadata, Unavailable) else metadata

    async def _redeem(self, metadata: Metadata, form: Mapping[str, str]) -> Object | Failure:
        identity, headers = self._client_authentication(metadata)
        answer = await ask(self._http, metadata.token_endpoint, form={**form, **identity}, headers=headers)
        if isinstance(answer, Unavailable):
            return _unavailable(answer)
        if answer.status == 200:
            return answer.content
        if answer.status >= 500 or answer.status == 429:
            return Failure(FailureReason.UNAVAILABLE, f"the token endpoint answered {answer.status}")
        # The words beside the code are the provider's, and may quote what was sent.
        error = answer.content.get("error")
        known = error if isinstance(error, str) and _ERROR.fullmatch(error) else "no error code"
        return Failure(FailureReason.REFUSED, f"the token endpoint answered {answer.status}: {known}")

    def _client_authentication(self, metadata: Metadata) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Return what form and header say about this client (RFC 6749 §2.3.1)."""
        client = self._provider.client_id
        if self._secret is None:
            return {"client_id": client}, {}
        methods = metadata.token_endpoint_auth_methods
        if "client_secret_post" in methods and "client_secret_basic" not in methods:
            return {"client_id": client, "client_secret": self._secret.decode(errors="replace")}, {}
        pair = f"{quote_plus(client)}:{quote_plus(self._secret)}"
        return {}, {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    async def _id_claims(self, text: object, nonce: str | None) -> Object | Failure:
        """Return the claims of a valid ID token (OpenID Connect Core §3.1.3.7); one from a refresh need not have the nonce (§12.2)."""
        token = read(text, MAX_BYTES) if isinstance(text, str) else None
        if token is None:
            return _bad("there is no ID token in the answer")
        fault = await signature_fault(token, self._trusted)
        if isinstance(fault, Unavailable):
            return _unavailable(fault)
        if fault is not None:
            return _bad(f"{fault} is not accepted")
        wrong = _wrong(token, self._provider, nonce, self._clock())
        return token.claims if wrong is None else _bad(f"{wrong} is not what it must be")

    async def _with_userinfo(self, metadata: Metadata, claims: Object, access_token: object) -> Object | Failure:
        """Return the claims, with those of the userinfo endpoint where one that is needed is not among them (OpenID Connect Core §5.3)."""
        if needed_claims(self._provider) <= claims.keys() or metadata.userinfo_endpoint is None or not isinstance(access_token, str):
            return claims
        if not _BEARER.fullmatch(access_token):
            return Failure(FailureReason.BAD_TOKEN, "the identity provider's access token cannot be sent")
        answer = await ask(self._http, metadata.userinfo_endpoint, headers={"Authorization": f"Bearer {access_token}"})
        if isinstance(answer, Unavailable):
            return _unavailable(answer)
        if answer.status != 200:
            return Failure(FailureReason.UNAVAILABLE, f"the userinfo endpoint answered {answer.status}")
        if answer.content.get("sub") != claims.get("sub"):
            return Failure(FailureReason.BAD_TOKEN, "the userinfo endpoint spoke of somebody else (sub)")
        return {**answer.content, **claims}


def _who(metadata: Metadata) -> str:
    """Return the `prompt` with which people can be somebody else (OpenID Connect Core §3.1.2.1)."""
    # Google knows no `login`, and does not say so in its document.
    chooses = "select_account" in metadata.prompts or metadata.issuer == "https://accounts.google.com"
    return "select_account" if chooses else "login"


def _foreign(iss: str | None, metadata: Metadata) -> Failure | None:
    if iss == metadata.issuer or (iss is None and not metadata.says_issuer):
        return None
    return Failure(FailureReason.WRONG_ISSUER, "another identity provider answered than was asked (iss)")


def _wrong(token: SignedToken, provider: IdentityProvider, nonce: str | None, now: float) -> str | None:
    """Return the name of the claim that is wrong, in the order of OpenID Connect Core §3.1.3.7."""
    claims, party = token.claims, token.claims.get("azp")
    if token.issuer != provider.issuer:
        return "iss"
    if provider.client_id not in token.audiences:
        return "aud"
    if party != provider.client_id and (party is not None or len(token.audiences) > 1):
        return "azp"
    expires, issued = token.moment("exp"), token.moment("iat")
    if expires is None or expires <= now - LEEWAY:
        return "exp"
    if issued is None or issued > now + LEEWAY:
        return "iat"
    if nonce is None:
        return None
    sent = claims.get("nonce")
    return None if isinstance(sent, str) and compare_digest(sent.encode(), nonce.encode()) else "nonce"


def _unavailable(why: Unavailable) -> Failure:
    return Failure(FailureReason.UNAVAILABLE, why.message)


def _bad(what: str) -> Failure:
    return Failure(FailureReason.BAD_TOKEN, f"ID token: {what}")
