"""The public keys of one issuer (RFC 7517).

Invariants: a key that cannot be read is left out and counted, and never takes the others with it; keys for encryption, secret keys and RSA
keys below 2048 bits verify nothing. However many ids of unknown keys come, the issuer is asked for new keys once in thirty seconds at most,
and once in two minutes for the same id.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx
from joserfc.jwk import ECKey, OKPKey, RSAKey

from wharfinger_oauth.discovery import Discovery
from wharfinger_oauth.kept import Fetched, Kept
from wharfinger_oauth.provider_http import ask
from wharfinger_oauth.unavailable import Unavailable

LIFETIME: Final = 600.0
"""Seconds, where Cache-Control says nothing."""
BOUNDS: Final = (60.0, 24 * 3600.0)
"""Of what Cache-Control says."""
MAX_KEYS: Final = 100
MAX_TRIED: Final = 5
"""Keys that are tried for one token."""
COOL_DOWN: Final = 30.0
ABSENT: Final = 120.0
"""Seconds for which nobody asks again for the id of a key that was not there."""
MAX_ABSENT: Final = 1000
MIN_RSA_BITS: Final = 2048
_KINDS: Final[dict[str, tuple[type[RSAKey | ECKey | OKPKey], str | None]]] = {
    "RS256": (RSAKey, None),
    "PS256": (RSAKey, None),
    "ES256": (ECKey, "P-256"),
    "ES384": (ECKey, "P-384"),
    "Ed25519": (OKPKey, "Ed25519"),
}
PublicKey = RSAKey | ECKey | OKPKey
_TYPES: Final[dict[str, type[PublicKey]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


@dataclass(frozen=True, slots=True)
class Keys:
    """What a document held."""

    usable: tuple[PublicKey, ...]
    dropped: int
    """That could not be read, or are too weak."""

    def fitting(self, kid: str | None, algorithm: str) -> tuple[PublicKey, ...]:
        """Return the keys that a token of this header can have been signed by; without an id, all of the algorithm."""
        return tuple(key for key in self.usable if (kid is None or key.kid == kid) and _fits(key, algorithm))[:MAX_TRIED]

    def has(self, kid: str) -> bool:
        """Tell whether there is a key of that id, for whatever algorithm."""
        return any(key.kid == kid for key in self.usable)


def read_keys(listed: list[Any]) -> Keys:
    """Return the keys of a document's list, each read by itself; those for encryption are not what it is asked for."""
    signing = [one for one in listed if not (isinstance(one, dict) and one.get("use") == "enc")]
    usable = tuple(key for one in signing[:MAX_KEYS] if (key := _public_key(one)) is not None)
    return Keys(usable, len(signing) - len(usable))


def _public_key(value: Any) -> PublicKey | None:
    if not isinstance(value, dict) or value.get("use", "sig") != "sig":
        return None
    kind = _TYPES.get(str(value.get("kty")))
    if kind is None:
        return None
    try:
        key = kind.import_key(value)
        return None if key.is_private or (isinstance(key, RSAKey) and key.raw_value.key_size < MIN_RSA_BITS) else key
    except Exception:  # noqa: BLE001 - the library lets pass what its parts raise: JoseError, KeyError, ValueError, UnsupportedAlgorithm
        return None


def _fits(key: PublicKey, algorithm: str) -> bool:
    kind, curve = _KINDS[algorithm]
    # RFC 9864 renamed EdDSA.
    named = "Ed25519" if key.alg == "EdDSA" else key.alg
    return isinstance(key, kind) and (curve is None or key.get("crv") == curve) and named in {None, algorithm}


def _lifetime(cache_control: str) -> float:
    """Return how long an answer is fresh (RFC 9111 §5.2.2), within bounds."""
    for part in cache_control.lower().split(","):
        name, _, value = part.strip().partition("=")
        if name in {"no-store", "no-cache"}:
            return BOUNDS[0]
        if name == "max-age" and value.isascii() and value.isdigit():
            return min(max(float(value[:9]), BOUNDS[0]), BOUNDS[1])
    return LIFETIME


class KeySet:
    """The keys of one issuer, kept."""

    def __init__(
        self,
        discovery: Discovery,
        http: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._discovery, self._http, self._clock = discovery, http, clock
        self._kept = Kept(self._fetch, clock=clock, spread=spread)
        self._absent: OrderedDict[str, float] = OrderedDict()

    async def fitting(self, kid: str | None, algorithm: str) -> tuple[PublicKey, ...] | Unavailable:
        """Return the keys for a token of this header, none where the issuer has none; Unavailable where that cannot be told now."""
        keys = await self._kept.get()
        if isinstance(keys, Unavailable):
            return keys
        found = keys.fitting(kid, algorithm)
        if found or kid is None or keys.has(kid):
            return found
        if self._kept.is_fetching or self._may_ask_for(kid):
            renewed = await self._kept.renewed()
            found = () if isinstance(renewed, Unavailable) else renewed.fitting(kid, algorithm)
        # Whether there is such a key now, an issuer that is down does not say.
        failure = self._kept.failure
        if not found and failure is None:
            self._remember_absent(kid)
        return found or failure or ()

    @property
    def known(self) -> Keys | None:
        """What the newest document held, as far as there was one; nobody is asked."""
        return self._kept.newest

    def close(self) -> None:
        """End a fetch that is under way."""
        self._kept.close()

    def _may_ask_for(self, kid: str) -> bool:
        now = self._clock()
        return now - self._kept.asked_at >= COOL_DOWN and self._absent.get(kid, now) <= now

    def _remember_absent(self, kid: str) -> None:
        if kid not in self._absent or self._absent[kid] <= self._clock():
            self._absent[kid] = self._kept.asked_at + ABSENT
            self._absent.move_to_end(kid)
        while len(self._absent) > MAX_ABSENT:
            self._absent.popitem(last=False)

    async def _fetch(self) -> Fetched[Keys] | Unavailable:
        metadata = await self._discovery.metadata()
        if isinstance(metadata, Unavailable):
            return metadata
        answer = await ask(self._http, metadata.jwks_uri)
        if isinstance(answer, Unavailable):
            return answer
        listed = answer.content.get("keys")
        if answer.status != 200 or not isinstance(listed, list):
            return Unavailable(f"{metadata.jwks_uri} answered {answer.status} and no key set")
        keys = read_keys(listed)
        if not keys.usable:
            return Unavailable(f"{metadata.jwks_uri} has no usable key")
        return Fetched(keys, _lifetime(answer.headers.get("Cache-Control", "")))
