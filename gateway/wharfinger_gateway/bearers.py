"""Bearer tokens that are no McpTokens: what is known of them, and finding it out.

`identify` asks what is known, which takes no time; where nothing is, `learn` asks whoever can tell, once, and the request is judged anew.

Invariants: a token is kept as its digest only; what was learned of others' tokens counts for a minute at most, of our own until the grant
ends; what cannot be asked about is neither accepted nor refused.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeVar

from wharfinger_crds.settings import ServiceAccount
from wharfinger_gateway.identity import Identity
from wharfinger_gateway.known_bearers import ignore
from wharfinger_gateway.snapshot import Gateway, Snapshot
from wharfinger_oauth import bearer_jwt
from wharfinger_oauth.access_token import AccessToken
from wharfinger_oauth.grant_record import GrantRecord
from wharfinger_oauth.issuers import TrustedIssuer
from wharfinger_oauth.platform import Platform
from wharfinger_oauth.service_account import is_service_account_token
from wharfinger_oauth.unavailable import Unavailable

BELIEVED: Final = 60.0
"""Seconds for which others' tokens are not verified again."""
STREAM_SECONDS: Final = 600.0
"""For which a stream may go on with a token whose end nobody told."""
YOUNG: Final = 15
"""Seconds for which a grant may be missing here because it was made elsewhere a moment ago."""
MAX_KNOWN: Final = 4_096
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class GrantIndex(Protocol):
    """The grants in force."""

    def get(self, name: str) -> GrantRecord | None:
        """Return a grant."""

    async def look_up(self, name: str) -> None:
        """Ask the API server for a grant that is not known yet. Raise ClusterError."""


Review = Callable[[str, tuple[str, ...]], Awaitable[ServiceAccount | Unavailable | None]]
"""Whose service-account token it is, for one of these audiences."""


class Bearers:
    """What is known of bearer tokens."""

    def __init__(
        self,
        platform: Callable[[], Platform | None],
        grants: GrantIndex,
        issuers: Callable[[], Mapping[str, TrustedIssuer]],
        review: Review,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.note: Callable[[str], None] = ignore
        self._platform, self._grants, self._issuers, self._review, self._clock = platform, grants, issuers, review, clock
        self._own: OrderedDict[bytes, AccessToken] = OrderedDict()
        self._others: OrderedDict[tuple[bytes, str], Identity] = OrderedDict()
        self._keys: object = None

    def own(self, text: str) -> AccessToken | None:
        """Return what an access token of ours says, whether its time is over or not."""
        platform = self._platform()
        if platform is None:
            return None
        if self._keys is not platform.keys:
            self._keys = platform.keys
            self._own.clear()
        key = _digest(text)
        known = self._own.get(key)
        if known is None:
            known = platform.keys.verify(text, platform.public_url, self._clock())
            if known is not None:
                _keep(self._own, key, known)
        return known

    def grant(self, name: str) -> GrantRecord | None:
        """Return a grant in force."""
        return self._grants.get(name)

    def other(self, text: str, gateway: str, now: float, *, patient: bool = False) -> Identity | None:
        """Return whose token of somebody else it is, as far as that is known of it at a gateway."""
        known = self._others.get((_digest(text), gateway))
        return known if known is not None and now < (known.expires_at if patient else known.believed_until) else None

    def patient(self) -> Patient:
        """Return the same for streams under way, whose tokens are not asked about again while they last."""
        return Patient(self)

    async def learn(self, text: str, gateway: Gateway, snapshot: Snapshot) -> Unavailable | None:
        """Find out whose token it is; what is found is known afterwards. Return Unavailable where nobody can tell.

        Raise ClusterError where the API server must be asked and does not answer.
        """
        token = self.own(text)
        if token is not None:
            if self.grant(token.gid) is None and token.iat > self._clock() - YOUNG:
                await self._grants.look_up(token.gid)
            return None
        found = await self._asked(text, gateway, snapshot)
        if isinstance(found, Identity):
            _keep(self._others, (_digest(text), gateway.id), found)
        return found if isinstance(found, Unavailable) else None

    async def _asked(self, text: str, gateway: Gateway, snapshot: Snapshot) -> Identity | Unavailable | None:
        now = self._clock()
        if gateway.service_accounts and is_service_account_token(text):
            account = await self._review(text, (snapshot.url_of(gateway.id), snapshot.public_url))
            if not isinstance(account, ServiceAccount):
                return account
            # Whoever reviews remembers for as long as it may be believed.
            return Identity("ServiceAccount", None, "", (), (account.namespace, account.name), now + 1.0, now + STREAM_SECONDS)
        issuers = {issuer: one for issuer, one in self._issuers().items() if one.provider.name in gateway.tokens_of}
        verified = await bearer_jwt.verify(text, issuers, snapshot.url_of(gateway.id), now)
        if not isinstance(verified, bearer_jwt.Verified):
            return verified if isinstance(verified, Unavailable) else None
        subject = verified.subject
        until = min(now + BELIEVED, verified.expires_at)
        return Identity("IdentityProvider", subject.user, verified.provider, subject.groups, None, until, verified.expires_at)


class Patient:
    """What is known of the tokens of streams under way."""

    __slots__ = ("_bearers",)

    def __init__(self, bearers: Bearers) -> None:
        self._bearers = bearers

    def own(self, text: str) -> AccessToken | None:
        """Return what an access token of ours says."""
        return self._bearers.own(text)

    def grant(self, name: str) -> GrantRecord | None:
        """Return a grant in force."""
        return self._bearers.grant(name)

    def other(self, text: str, gateway: str, now: float) -> Identity | None:
        """Return whose token of somebody else it was, until its time is over."""
        return self._bearers.other(text, gateway, now, patient=True)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    kept[key] = value
    while len(kept) > MAX_KNOWN:
        kept.popitem(last=False)
