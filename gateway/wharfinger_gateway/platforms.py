"""What is in force, as the authorization server sees it: one value for each snapshot."""

from __future__ import annotations

from types import MappingProxyType

from wharfinger_gateway.authorize import sees
from wharfinger_gateway.current import Current
from wharfinger_gateway.principal import Principal
from wharfinger_gateway.snapshot import Snapshot
from wharfinger_oauth.access_token import AccessTokenKeys
from wharfinger_oauth.platform import Platform, Resource
from wharfinger_oauth.subject import Subject


class Platforms:
    """Gives the platform of now."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._made_of: Snapshot | None = None
        self._platform: Platform | None = None

    def __call__(self) -> Platform | None:
        """Return it; None where there are no keys yet."""
        snapshot = self._current.snapshot
        if snapshot is not self._made_of:
            self._made_of, self._platform = snapshot, _platform(snapshot, self._platform) if snapshot else None
        return self._platform


def _platform(snapshot: Snapshot, before: Platform | None) -> Platform | None:
    authorization = snapshot.authorization
    if authorization is None:
        return None
    keys = AccessTokenKeys(authorization.signing_keys)

    def may_see(subject: Subject, gateway: str) -> bool:
        found = snapshot.gateways.get(gateway)
        teams = snapshot.teams_of(subject.user, subject.identity_provider, subject.groups)
        return found is not None and sees(Principal("user", subject.user, teams, ""), found.visibility)

    return Platform(
        public_url=snapshot.public_url,
        oauth=authorization.oauth,
        identity_providers=authorization.identity_providers,
        root_key=authorization.root_key,
        # The same object as before where the keys are: what was verified with them stays so.
        keys=before.keys if before is not None and before.keys == keys else keys,
        resources=MappingProxyType(
            {one.id: Resource(one.id, one.title, one.oauth, one.tokens_of, one.assertions_of) for one in snapshot.gateways.values()}
        ),
        sees=may_see,
        secrets=authorization.secrets,
    )
