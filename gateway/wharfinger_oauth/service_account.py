"""Kubernetes service accounts as callers: the API server says whose a token is (TokenReview, authentication.k8s.io/v1).

Invariants: a token counts for audiences of ours only, never for the API server's own; what the API server said is believed for ten seconds;
a token is kept as its digest only; what strangers send costs the API server a bounded number of questions at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import ClusterError, Invalid
from wharfinger_cluster.resource import TOKEN_REVIEW, Object
from wharfinger_crds.settings import ServiceAccount
from wharfinger_oauth.signed_token import SignedToken, read
from wharfinger_oauth.unavailable import Unavailable

BELIEVED: Final = 10.0
"""Seconds that an answer of the API server counts. It remembers for as long itself, so that what was deleted is out after twice that."""
MAX_KEPT: Final = 4096
MAX_ASKED: Final = 64
"""Questions that are under way at a time."""
_USER: Final = re.compile(r"system:serviceaccount:([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)")
Verdict = ServiceAccount | None


@dataclass(frozen=True, slots=True)
class _Kept:
    verdict: Verdict
    until: float


def is_service_account_token(text: str) -> bool:
    """Tell whether a bearer token says that it is a service account's, which nothing has verified: what does not is not asked about."""
    return _claimed(text) is not None


class ServiceAccounts:
    """Whose tokens are whose."""

    def __init__(self, cluster: Cluster, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster, self._clock = cluster, clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._asked: dict[bytes, asyncio.Task[Verdict | Unavailable]] = {}

    async def identify(self, token: str, audiences: Sequence[str]) -> ServiceAccount | Unavailable | None:
        """Return the account whose token counts for one of these audiences (the gateway's URL, the public URL); None where it is no such token."""
        key = hashlib.sha256("\0".join((token, *audiences)).encode()).digest()
        kept = self._kept.get(key)
        if kept is not None and kept.until > self._clock():
            self._kept.move_to_end(key)
            return kept.verdict
        claimed = _claimed(token)
        if claimed is None or not set(claimed.audiences) & set(audiences):
            return None
        asked = self._asked.get(key)
        if asked is None:
            if len(self._asked) >= MAX_ASKED:
                return Unavailable("too many tokens of service accounts are being reviewed")
            asked = self._asked[key] = asyncio.create_task(self._ask(key, token, tuple(audiences)))
        # A caller that goes away leaves the answer to the others.
        return await asyncio.shield(asked)

    def close(self) -> None:
        """End questions that are under way."""
        for asked in self._asked.values():
            asked.cancel()

    async def _ask(self, key: bytes, token: str, audiences: tuple[str, ...]) -> Verdict | Unavailable:
        began = self._clock()
        try:
            verdict = await self._review(token, audiences)
        except ClusterError as error:
            return Unavailable(f"the API server does not say whose a token is: {error}")
        finally:
            del self._asked[key]
        self._kept[key] = _Kept(verdict, began + BELIEVED)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return verdict

    async def _review(self, token: str, audiences: tuple[str, ...]) -> Verdict:
        try:
            answer = await self._cluster.create(TOKEN_REVIEW, {"metadata": {}, "spec": {"token": token, "audiences": list(audiences)}})
        except Invalid:
            return None
        return _account(answer.get("status", {}), audiences)


def _claimed(text: str) -> SignedToken | None:
    token = read(text)
    subject = token.claims.get("sub") if token else None
    return token if isinstance(subject, str) and _USER.fullmatch(subject) else None


def _account(status: Object, audiences: tuple[str, ...]) -> Verdict:
    # An API server that ignores audiences leaves them out of its answer: the token is for itself then.
    if status.get("authenticated") is not True or not set(status.get("audiences") or ()) & set(audiences):
        return None
    named = _USER.fullmatch(str(status.get("user", {}).get("username")))
    return ServiceAccount(namespace=named[1], name=named[2]) if named else None
