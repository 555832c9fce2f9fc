"""What an identity provider says about itself (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from wharfinger_oauth.kept import Fetched, Kept
from wharfinger_oauth.provider_http import ask, is_harmless
from wharfinger_oauth.strict_json import Object
from wharfinger_oauth.unavailable import Unavailable

LIFETIME: Final = 600.0


@dataclass(frozen=True, slots=True)
class Metadata:
    """The parts of the document that are used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    token_endpoint_auth_methods: frozenset[str]
    says_issuer: bool
    """Whether each authorization response bears `iss` (RFC 9207 §3)."""
    prompts: frozenset[str] = frozenset()
    """`prompt` values, where the provider lists them (Initiating User Registration via OpenID Connect 1.0, §4.1)."""


class Discovery:
    """The document of one issuer, kept for ten minutes."""

    def __init__(
        self,
        issuer: str,
        http: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._issuer, self._http = issuer, http
        self._kept = Kept(self._fetch, clock=clock, spread=spread)

    async def metadata(self) -> Metadata | Unavailable:
        """Return what the provider says; one that says it is another issuer does not count."""
        return await self._kept.get()

    def close(self) -> None:
        """End a fetch that is under way."""
        self._kept.close()

    async def _fetch(self) -> Fetched[Metadata] | Unavailable:
        url = f"{self._issuer.removesuffix('/')}/.well-known/openid-configuration"
        answer = await ask(self._http, url)
        if isinstance(answer, Unavailable):
            return answer
        if answer.status != 200:
            return Unavailable(f"{url} answered {answer.status}")
        found = _metadata(answer.content, self._issuer)
        return Unavailable(f"{url}: {found}") if isinstance(found, str) else Fetched(found, LIFETIME)


def _metadata(document: Object, issuer: str) -> Metadata | str:
    """Return the document's content, or what is wrong with it."""
    if document.get("issuer") != issuer:
        return f"the document is another issuer's than {issuer}"
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not is_harmless(document.get(name)):
            return f"{name} is no https URL"
    userinfo = document.get("userinfo_endpoint")
    if userinfo is not None and not is_harmless(userinfo):
        return "userinfo_endpoint is no https URL"
    return Metadata(
        issuer=issuer,
        authorization_endpoint=document["authorization_endpoint"],
        token_endpoint=document["token_endpoint"],
        jwks_uri=document["jwks_uri"],
        userinfo_endpoint=userinfo,
        token_endpoint_auth_methods=_texts(document.get("token_endpoint_auth_methods_supported")),
        says_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        prompts=_texts(document.get("prompt_values_supported")),
    )


def _texts(value: Any) -> frozenset[str]:
    return frozenset(one for one in value if isinstance(one, str)) if isinstance(value, list) else frozenset()
