"""Assertions with which clients prove themselves: private_key_jwt (RFC 7523 §3, OpenID Connect Core §9).

An assertion counts once, in each replica: it lives for minutes, is made for this platform only, and is never sent anywhere else.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final, get_args

from wharfinger_crds.identity_provider import Algorithm
from wharfinger_oauth.client import Client
from wharfinger_oauth.key_set import read_keys
from wharfinger_oauth.signed_token import LEEWAY, SignedToken, is_signed, read, text_of

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_LENGTH: Final = 8 * 1024
MAX_LIFETIME: Final = 600
"""Seconds until `exp`."""
MAX_ID: Final = 256
"""Characters of a `jti`."""
MAX_CLIENTS: Final = 1000
MAX_IDS: Final = 256
"""Of one client, that can still be replayed."""
ALGORITHMS: Final = get_args(Algorithm)


class Assertions:
    """Takes each assertion once. Belongs to one event loop."""

    def __init__(self, audiences: Collection[str], clock: Callable[[], float] = time.time) -> None:
        """Take what assertions are made for: the issuer and the token endpoint; `clock` gives seconds since the epoch."""
        self._audiences = frozenset(audiences)
        self._clock = clock
        self._used: OrderedDict[str, dict[str, float]] = OrderedDict()

    def accepts(self, text: str, client: Client) -> bool:
        """Tell whether an assertion proves the client, and note that it was used."""
        token, now = read(text, MAX_LENGTH), self._clock()
        if (
            token is None
            or not _is_signed_by_client(token, client)
            or not _is_meant(token, client, self._audiences)
            or not _is_timely(token, now)
        ):
            return False
        identifier, expires = text_of(token.claims.get("jti")), token.moment("exp")
        if identifier is None or len(identifier) > MAX_ID or expires is None:
            return False
        return self._is_first(client.digest, identifier, expires + LEEWAY, now)

    def _is_first(self, client: str, identifier: str, until: float, now: float) -> bool:
        used = {one: end for one, end in self._used.pop(client, {}).items() if end > now}
        is_first = identifier not in used and len(used) < MAX_IDS
        self._used[client] = used | {identifier: until} if is_first else used
        while len(self._used) > MAX_CLIENTS:
            self._used.popitem(last=False)
        return is_first


def claimed_client(text: str) -> str | None:
    """Return the client that an assertion says it is of, before anything is verified."""
    token = read(text, MAX_LENGTH)
    return text_of(token.claims.get("sub")) if token else None


def _is_signed_by_client(token: SignedToken, client: Client) -> bool:
    algorithm, kid = token.algorithm, token.header.get("kid")
    if algorithm is None or algorithm not in ALGORITHMS or client.keys is None or not isinstance(kid, str | None):
        return False
    return is_signed(token, algorithm, read_keys(client.keys["keys"]).fitting(kid, algorithm))


def _is_meant(token: SignedToken, client: Client, audiences: Collection[str]) -> bool:
    is_for_us = len(token.audiences) == 1 and token.audiences[0] in audiences
    return is_for_us and token.issuer == client.id and token.claims.get("sub") == client.id


def _is_timely(token: SignedToken, now: float) -> bool:
    expires = token.moment("exp")
    if expires is None or not now - LEEWAY < expires <= now + MAX_LIFETIME + LEEWAY:
        return False
    return all(name not in token.claims or ((begin := token.moment(name)) is not None and begin <= now + LEEWAY) for name in ("nbf", "iat"))
