"""Resources of the cluster to the snapshot, and why what does not count does not. Pure.

Invariants: an object that cannot be used is refused alone and holds up no other. What the operator checked is checked again where it
decides who may do what: a gateway's visibility and an installation's owner must be granted to the namespace, and a connection must have
been made for this very installation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from wharfinger_crds import names
from wharfinger_crds.duration import quantity, seconds
from wharfinger_crds.environment import Environment as EnvironmentObject
from wharfinger_crds.gateway import BearerDoor, Limits, OAuthDoor, ServiceAccountDoor, ToolAssignment
from wharfinger_crds.gateway import Gateway as GatewayObject
from wharfinger_crds.grants import NamespaceGrants
from wharfinger_crds.installation import Installation as InstallationObject
from wharfinger_crds.registry_entry import RegistryEntry as EntryObject
from wharfinger_crds.settings import Settings
from wharfinger_crds.token import Token as TokenObject
from wharfinger_gateway.client_headers import let_through
from wharfinger_gateway.read import Namespace, RootKey, SigningKeys, StoredConnection, ToolList
from wharfinger_gateway.session import session_key
from wharfinger_gateway.snapshot import (
    Assignment,
    Authorization,
    Entry,
    Gateway,
    Index,
    Installation,
    Key,
    Refused,
    Snapshot,
    StoredToken,
    Tokens,
    Tool,
    Visibility,
)

_NO_GRANTS = NamespaceGrants()


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything a snapshot is made from, as read; tokens apart."""

    settings: Settings
    root_key: RootKey = field(repr=False)
    gateways: tuple[GatewayObject, ...] = ()
    installations: tuple[InstallationObject, ...] = ()
    entries: tuple[EntryObject, ...] = ()
    environments: tuple[EnvironmentObject, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    connections: tuple[StoredConnection, ...] = ()
    tools: tuple[ToolList, ...] = ()
    signing_keys: SigningKeys | None = field(default=None, repr=False)
    client_secrets: Mapping[tuple[str, str], bytes] = field(default_factory=dict, repr=False)
    """Of the system namespace, by Secret and key."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A snapshot, and what was left out of it."""

    snapshot: Snapshot
    refused: tuple[Refused, ...]


def translate(resources: Resources) -> Translation:
    """Return the snapshot of the resources, and every object that does not count, with its reason."""
    grants = {namespace.name: namespace.grants for namespace in resources.namespaces}
    connections = {stored.secret: stored for stored in resources.connections}
    teams = _teams(resources.settings)
    gateways = [_gateway(one, grants) for one in resources.gateways]
    installations = [_installation(one, grants, connections, teams) for one in resources.installations]
    counted = {one.key: one for one in installations if isinstance(one, Installation)}
    tools = {one.hash: one.tools for one in resources.tools}
    snapshot = Snapshot(
        public_url=resources.settings.public_url,
        session_key=session_key(resources.root_key.key),
        gateways=MappingProxyType({one.id: one for one in gateways if isinstance(one, Gateway)}),
        installations=MappingProxyType(counted),
        entries=MappingProxyType({one.name: one for one in _entries(resources)}),
        tools=MappingProxyType(tools),
        teams=MappingProxyType(teams),
        group_teams=MappingProxyType(_group_teams(resources.settings)),
        account_teams=MappingProxyType(_account_teams(resources.settings)),
        authorization=_authorization(resources),
        index=_index(counted.values(), tools),
    )
    refused = (one for one in (*gateways, *installations) if isinstance(one, Refused))
    return Translation(snapshot, tuple(sorted(refused, key=str)))


def translate_tokens(objects: Iterable[TokenObject]) -> tuple[Tokens, tuple[Refused, ...]]:
    """Return the tokens by hash, and those that do not count: of two with one hash neither does, since nobody knows who called."""
    by_hash: defaultdict[str, list[TokenObject]] = defaultdict(list)
    for one in objects:
        by_hash[one.spec.token_hash].append(one)
    tokens: dict[str, StoredToken] = {}
    refused: list[Refused] = []
    for digest, claimants in by_hash.items():
        stored = _token(claimants[0]) if len(claimants) == 1 else None
        if isinstance(stored, StoredToken):
            tokens[digest] = stored
        else:
            reason = stored or f"tokenHash is that of {', '.join(sorted(one.metadata.name for one in claimants))}: none of them counts"
            refused += [Refused("McpToken", one.metadata.namespace, one.metadata.name, reason) for one in claimants]
    return MappingProxyType(tokens), tuple(sorted(refused, key=str))


def _token(one: TokenObject) -> StoredToken | str:
    spec, expires_at = one.spec, None
    if spec.expires_at is not None:
        try:
            moment = datetime.fromisoformat(spec.expires_at)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            return "expiresAt is no RFC 3339 time"
        expires_at = moment.timestamp()
    gateways = frozenset(spec.gateways) or None
    subject = spec.subject.user or spec.subject.team or ""
    return StoredToken(one.metadata.name, spec.subject.kind, subject, gateways, expires_at, spec.disabled)


def _gateway(one: GatewayObject, grants: Mapping[str, NamespaceGrants]) -> Gateway | Refused:
    namespace, name, spec = one.metadata.namespace, one.metadata.name, one.spec
    missing = grants.get(namespace, _NO_GRANTS).missing_for(spec.visibility)
    if missing is not None:
        return Refused(
            "McpGateway", namespace, name, f"its visibility is not granted: namespace {namespace} lacks the annotation {missing}"
        )
    limits = spec.limits or Limits()
    return Gateway(
        namespace=namespace,
        name=name,
        title=spec.title,
        visibility=Visibility(spec.visibility.scope, spec.visibility.owner, frozenset(spec.visibility.teams)),
        bearer_tokens=_is_on(spec.authentication.bearer_tokens),
        oauth=_is_on(spec.authentication.oauth),
        service_accounts=_is_on(spec.authentication.service_accounts),
        tokens_of=frozenset(one.name for one in spec.authentication.identity_providers if one.jwks),
        assertions_of=frozenset(one.name for one in spec.authentication.identity_providers if one.id_jag),
        assignments=tuple(_assignment(namespace, assigned) for assigned in spec.tools),
        call_timeout=seconds(limits.call_timeout),
        request_bytes=quantity(limits.max_request_bytes),
        client_headers=let_through(spec.header_passthrough),
        requests_per_minute=limits.requests_per_minute,
        concurrent_calls=limits.concurrent_calls,
    )


def _is_on(door: OAuthDoor | BearerDoor | ServiceAccountDoor | None) -> bool:
    return door is not None and door.enabled


def _assignment(namespace: str, assigned: ToolAssignment) -> Assignment:
    pinned, entry = assigned.installation_ref, assigned.entry_ref
    return Assignment(
        pinned=(namespace, pinned.name) if pinned else None,
        entry=entry.name if entry else None,
        environment=assigned.environment_ref.name if assigned.environment_ref else None,
        prefix=assigned.prefix or (pinned.name if pinned else entry.name if entry else ""),
        selection=assigned,
    )


def _installation(
    one: InstallationObject,
    grants: Mapping[str, NamespaceGrants],
    connections: Mapping[str, StoredConnection],
    teams: Mapping[str, frozenset[str]],
) -> Installation | Refused | None:
    """Return the installation; None where the operator has not connected it yet."""
    namespace, name, spec = one.metadata.namespace, one.metadata.name, one.spec
    if not grants.get(namespace, _NO_GRANTS).covers_owner(spec.owner):
        return Refused("McpInstallation", namespace, name, f"its owner, {spec.owner}, is not granted to namespace {namespace}")
    stored = connections.get(names.connection_name(namespace, name))
    if stored is None:
        return None
    connection = stored.connection
    made_for = (connection.namespace, connection.name, connection.uid, connection.entry)
    if made_for != (namespace, name, one.metadata.uid, spec.entry_ref.name):
        return Refused("McpInstallation", namespace, name, f"connection Secret {stored.secret} was made for another installation")
    return Installation(
        namespace=namespace,
        name=name,
        uid=one.metadata.uid,
        entry=spec.entry_ref.name,
        environment=connection.environment,
        user=spec.owner.user,
        team=spec.owner.team,
        shared_in=frozenset(spec.sharing.teams if spec.sharing else ()) & teams.get(spec.owner.user or "", frozenset()),
        through_gateways=spec.sharing is not None and spec.sharing.through_gateways,
        suspended=spec.suspend,
        created=one.metadata.creation_timestamp,
        connection=connection,
        guard=stored.guard,
        fingerprint=stored.fingerprint,
    )


def _entries(resources: Resources) -> Iterator[Entry]:
    defaults = [one.metadata.name for one in resources.environments if one.spec.default]
    default = defaults[0] if len(defaults) == 1 else None
    for one in resources.entries:
        spec = one.spec
        scope = Visibility(spec.visibility.scope, None, frozenset(spec.visibility.teams)) if spec.visibility else Visibility("Org")
        yield Entry(one.metadata.name, spec.title, scope, spec.environment_ref.name if spec.environment_ref else default)


def _teams(settings: Settings) -> dict[str, frozenset[str]]:
    users = {member for team in settings.teams for member in team.members}
    return {user: settings.teams_of(user) for user in users}


def _group_teams(settings: Settings) -> dict[tuple[str, str], frozenset[str]]:
    named = [((group.identity_provider, group.group), team.name) for team in settings.teams for group in team.groups]
    return {key: frozenset(team for other, team in named if other == key) for key, _ in named}


def _account_teams(settings: Settings) -> dict[tuple[str, str], frozenset[str]]:
    named = [((account.namespace, account.name), team.name) for team in settings.teams for account in team.service_accounts]
    return {key: frozenset(team for other, team in named if other == key) for key, _ in named}


def _authorization(resources: Resources) -> Authorization | None:
    if resources.signing_keys is None:
        return None
    settings = resources.settings
    named = [one.client_secret_ref for one in settings.identity_providers] + [one.secret_ref for one in settings.oauth.clients]
    wanted = {(one.name, one.key) for one in named if one is not None}
    secrets = {key: value for key, value in resources.client_secrets.items() if key in wanted}
    return Authorization(
        settings.oauth, settings.identity_providers, resources.root_key.key, resources.signing_keys.keys, MappingProxyType(secrets)
    )


def _index(counted: Iterable[Installation], tools: Mapping[str, tuple[Tool, ...]]) -> Index:
    own: defaultdict[Key, list[Installation]] = defaultdict(list)
    team: defaultdict[Key, list[Installation]] = defaultdict(list)
    shared: defaultdict[Key, list[Installation]] = defaultdict(list)
    newest_tools: dict[tuple[str, str | None], str] = {}
    for one in sorted(counted, key=lambda i: (i.created, i.key), reverse=True):
        if one.user is not None:
            own[one.entry, one.user].append(one)
        if one.team is not None:
            team[one.entry, one.team].append(one)
        for name in one.shared_in:
            shared[one.entry, name].append(one)
        digest = one.connection.tools_hash
        if digest is not None and digest in tools:
            newest_tools.setdefault((one.entry, None), digest)
            newest_tools.setdefault((one.entry, one.environment), digest)
    return Index(_frozen(own), _frozen(team), _frozen(shared), MappingProxyType(newest_tools))


def _frozen(lists: Mapping[Key, list[Installation]]) -> Mapping[Key, tuple[Installation, ...]]:
    return MappingProxyType({key: tuple(values) for key, values in lists.items()})
