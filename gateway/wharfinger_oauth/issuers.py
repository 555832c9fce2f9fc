"""The identity providers whose tokens count, by issuer, with what is kept of each between settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import httpx

from wharfinger_crds.identity_provider import IdentityProvider
from wharfinger_oauth.discovery import Discovery
from wharfinger_oauth.key_set import KeySet


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One identity provider."""

    provider: IdentityProvider
    discovery: Discovery
    keys: KeySet

    def close(self) -> None:
        """End fetches that are under way."""
        self.keys.close()
        self.discovery.close()


def trusted_issuers(
    providers: Iterable[IdentityProvider], before: Mapping[str, TrustedIssuer], http: httpx.AsyncClient
) -> Mapping[str, TrustedIssuer]:
    """Return the providers by issuer; documents and keys of those that were there before are kept, and fetches for those that went are ended."""
    found = {one.issuer: _trusted(one, before.get(one.issuer), http) for one in providers}
    for issuer in before.keys() - found.keys():
        before[issuer].close()
    return MappingProxyType(found)


def _trusted(provider: IdentityProvider, before: TrustedIssuer | None, http: httpx.AsyncClient) -> TrustedIssuer:
    if before is not None:
        return replace(before, provider=provider)
    discovery = Discovery(provider.issuer, http)
    return TrustedIssuer(provider, discovery, KeySet(discovery, http))
