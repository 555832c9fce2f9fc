"""Logins that can be asked about again: the identity provider's refresh token of each, sealed, in a Secret of the system namespace.

A grant names its login, so that who left a group, or the organization, is out at the next refresh. Of several replicas one asks at a time:
providers that rotate refresh tokens take two questions at once for theft. What is lost when that one dies between the provider's answer and
ours is the login: the person logs in again.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
import time
from collections.abc import Callable
from enum import Enum
from typing import Final

import msgspec

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Conflict, NotFound
from wharfinger_cluster.resource import SECRET, Object
from wharfinger_crds import names
from wharfinger_oauth.identity_provider import Failure, FailureReason, LoggedIn, RelyingParty
from wharfinger_oauth.seal import MAX_LENGTH, Seal
from wharfinger_oauth.subject import Subject

KEY: Final = "login"
ASKED_UNTIL: Final = f"{names.GROUP}/asked-until"
"""Annotation: somebody asks the identity provider; in seconds since the epoch, when he must have heard."""
ASKING: Final = 15.0
WAIT, ATTEMPTS = 0.2, 60
PATIENCE: Final = 86_400.0
"""Seconds for which what was known counts while the provider cannot be asked."""
_log = logging.getLogger(__name__)


class Outcome(Enum):
    """Why somebody is not who he was."""

    ENDED = "Ended"
    """The provider says no, or nobody can ask it any more."""
    UNAVAILABLE = "Unavailable"
    """Nobody can tell now."""


class Login(msgspec.Struct, frozen=True):
    """What is kept of a login."""

    refresh_token: str
    subject: Subject
    checked_at: int
    """When the provider last spoke of the person; seconds since the epoch."""

    def __repr__(self) -> str:
        """Return a text without the token."""
        return f"Login({self.subject.user!r}, {self.checked_at})"


class Logins:
    """The store of logins. Every method raises ClusterError where the API server cannot be asked."""

    def __init__(self, cluster: Cluster, namespace: str, clock: Callable[[], float] = time.time) -> None:
        self._cluster, self._namespace, self._clock = cluster, namespace, clock

    async def keep(self, found: LoggedIn, root_key: bytes) -> Subject:
        """Keep what the provider can be asked with again, if it gave any; return the person, who names it."""
        if found.refresh_token is None:
            return found.subject
        name = f"login-{secrets.token_hex(16)}"
        sealed = _seal(root_key).seal(Login(found.refresh_token, found.subject, int(self._clock())), name)
        if len(sealed) > MAX_LENGTH:
            _log.warning(
                "the refresh token of %s is too long to be kept: its groups stay those of the login", found.subject.identity_provider
            )
            return found.subject
        labels = {names.MANAGED_BY: names.MANAGER, names.PART: names.LOGIN_PART}
        body: Object = {"metadata": {"name": name, "namespace": self._namespace, "labels": labels}, "type": "Opaque", "data": _data(sealed)}
        await self._cluster.create(SECRET, body)
        return msgspec.structs.replace(found.subject, login=name)

    async def again(self, subject: Subject, party: RelyingParty, root_key: bytes, fresh: float) -> Subject | Outcome:
        """Return the person as the provider describes him now, or did less than `fresh` seconds ago."""
        for _ in range(ATTEMPTS):
            try:
                found = await self._cluster.get(SECRET, subject.login, self._namespace)
            except NotFound:
                return Outcome.ENDED
            login = _seal(root_key).open(_sealed(found), Login, subject.login)
            if login is None or login.subject.user != subject.user:
                return Outcome.ENDED
            if self._clock() - login.checked_at < fresh:
                return msgspec.structs.replace(login.subject, login=subject.login)
            locked = await self._locked(found)
            if locked is not None:
                return await self._asked(locked, login, party, root_key)
            await asyncio.sleep(WAIT)
        return Outcome.UNAVAILABLE

    async def _locked(self, found: Object) -> Object | None:
        """Return the Secret as ours to ask with; None where somebody else asks."""
        until = found["metadata"].get("annotations", {}).get(ASKED_UNTIL, "0")
        now = self._clock()
        if until.isdigit() and int(until) > now:
            return None
        try:
            return await self._cluster.replace(SECRET, _marked(found, str(int(now + ASKING))))
        except (Conflict, NotFound):
            return None

    async def _asked(self, locked: Object, login: Login, party: RelyingParty, root_key: bytes) -> Subject | Outcome:
        name = locked["metadata"]["name"]
        answer = await party.ask_again(login.refresh_token, login.subject)
        try:
            if isinstance(answer, LoggedIn):
                now = Login(answer.refresh_token or login.refresh_token, answer.subject, int(self._clock()))
                await self._cluster.replace(SECRET, {**_marked(locked, None), "data": _data(_seal(root_key).seal(now, name))})
                return msgspec.structs.replace(answer.subject, login=name)
            if answer.reason is FailureReason.UNAVAILABLE:
                await self._cluster.replace(SECRET, _marked(locked, None))
                return self._as_known(login, name, answer)
            _log.info("%s is logged in no more: %s: %s", login.subject.user, answer.reason, answer.message)
            await self._cluster.delete(SECRET, name, self._namespace)
        except (Conflict, NotFound):
            return Outcome.UNAVAILABLE
        return Outcome.ENDED

    def _as_known(self, login: Login, name: str, answer: Failure) -> Subject | Outcome:
        _log.warning("%s cannot be asked about its people: %s", login.subject.identity_provider, answer.message)
        if self._clock() - login.checked_at > PATIENCE:
            return Outcome.UNAVAILABLE
        return msgspec.structs.replace(login.subject, login=name)


def _seal(root_key: bytes) -> Seal:
    return Seal.of(root_key, "idp")


def _data(sealed: str) -> dict[str, str]:
    return {KEY: base64.b64encode(sealed.encode()).decode()}


def _sealed(found: Object) -> str:
    try:
        return base64.b64decode(found.get("data", {}).get(KEY, ""), validate=True).decode()
    except ValueError:
        return ""


def _marked(found: Object, until: str | None) -> Object:
    """Return the Secret with or without the mark of who asks."""
    annotations = {key: value for key, value in found["metadata"].get("annotations", {}).items() if key != ASKED_UNTIL}
    return {**found, "metadata": {**found["metadata"], "annotations": annotations | ({ASKED_UNTIL: until} if until else {})}}
