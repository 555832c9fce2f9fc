"""What the gateway serves from: an immutable picture of the cluster, replaced as a whole.

Invariants: a request reads `Current` once and keeps what it read. Two snapshots made from equal objects are equal. Credentials are in
no repr. Tokens are an index of their own, so that a new token rebuilds nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit

from wharfinger_crds import names
from wharfinger_crds.connection import Connection
from wharfinger_crds.gateway import ToolAssignment
from wharfinger_crds.identity_provider import IdentityProvider
from wharfinger_crds.oauth import OAuth
from wharfinger_crds.signing_keys import SigningKey
from wharfinger_mcp.egress_guard import EgressGuard

EMPTY: Mapping[Any, Any] = MappingProxyType({})
_NONE: frozenset[str] = frozenset()
Key = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as its server defined it."""

    name: str
    definition: bytes = field(repr=False)
    """The JSON object, whole."""


@dataclass(frozen=True, slots=True)
class Visibility:
    """Who may see a gateway or an entry."""

    scope: Literal["Personal", "Team", "Org"]
    owner: str | None = None
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """A registry entry, as far as callers are told of it."""

    name: str
    title: str
    visibility: Visibility
    environment: str | None
    """Where its installations run unless they say otherwise."""


@dataclass(frozen=True)
class Installation:
    """A connection that counts: its owner is granted to the namespace, and the operator made a Secret for this very object."""

    namespace: str
    name: str
    uid: str
    entry: str
    environment: str
    user: str | None
    team: str | None
    """Exactly one of user and team is the owner."""
    shared_in: frozenset[str]
    """Teams that the owner shares with and is a member of."""
    through_gateways: bool
    suspended: bool
    created: str
    """RFC 3339, as the API server wrote it."""
    connection: Connection = field(repr=False)
    guard: EgressGuard
    """What may be connected to for it."""
    fingerprint: str = field(repr=False)
    """Of what a request to the server is made of, and of the guard; changes with them."""

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name

    @cached_property
    def path(self) -> str:
        """Namespace and name, for people."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Assignment:
    """Tools of one pinned installation, or of whichever installation of an entry is the caller's."""

    pinned: Key | None
    entry: str | None
    environment: str | None
    prefix: str
    selection: ToolAssignment
    """Which of the tools, under which names."""


@dataclass(frozen=True)
class Gateway:
    """One endpoint."""

    namespace: str
    name: str
    title: str
    visibility: Visibility
    bearer_tokens: bool
    assignments: tuple[Assignment, ...]
    call_timeout: float
    """Seconds."""
    request_bytes: int
    client_headers: tuple[str, ...] = ()
    """Names of the client's headers that HTTP servers get, in lower case."""
    requests_per_minute: int | None = None
    """Of each caller, in each replica, as the next."""
    concurrent_calls: int | None = None
    oauth: bool = False
    service_accounts: bool = False
    tokens_of: frozenset[str] = frozenset()
    """Identity providers whose access tokens count."""
    assertions_of: frozenset[str] = frozenset()
    """Identity providers whose ID-JAGs count."""

    @cached_property
    def id(self) -> str:
        """How URLs and tokens name it."""
        return f"{self.namespace}.{self.name}"


@dataclass(frozen=True, slots=True)
class Index:
    """The installations of an entry by who may use them: derived, so that a call costs the same with any number of installations."""

    own: Mapping[tuple[str, str], tuple[Installation, ...]] = field(default_factory=dict)
    """By entry and owning user."""
    team: Mapping[tuple[str, str], tuple[Installation, ...]] = field(default_factory=dict)
    """By entry and owning team."""
    shared: Mapping[tuple[str, str], tuple[Installation, ...]] = field(default_factory=dict)
    """By entry and a team that the owner is a member of and shares with."""
    newest_tools: Mapping[tuple[str, str | None], str] = field(default_factory=dict)
    """By entry, and by entry and environment: the hash of the definitions of the newest installation that has any."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """Settings and keys of the authorization server."""

    oauth: OAuth
    identity_providers: tuple[IdentityProvider, ...]
    root_key: bytes = field(repr=False)
    signing_keys: tuple[SigningKey, ...] = field(repr=False)
    secrets: Mapping[tuple[str, str], bytes] = field(repr=False)
    """Of clients: by Secret and key."""


@dataclass(frozen=True)
class Snapshot:
    """Everything that decides about a call, except tokens."""

    public_url: str
    session_key: bytes = field(repr=False)
    gateways: Mapping[str, Gateway] = field(default_factory=dict)
    """By id."""
    installations: Mapping[Key, Installation] = field(default_factory=dict)
    entries: Mapping[str, Entry] = field(default_factory=dict)
    tools: Mapping[str, tuple[Tool, ...]] = field(default_factory=dict)
    """By hash; sorted by name."""
    teams: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Users to the names of their teams."""
    group_teams: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """Identity providers and their groups to the names of teams."""
    account_teams: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """Namespaces and names of service accounts to the names of their teams."""
    authorization: Authorization | None = None
    """What the authorization server stands on; None where it has no keys yet."""
    index: Index = field(default_factory=Index, repr=False, compare=False)

    @cached_property
    def public_origin(self) -> str:
        """Scheme and authority of the public URL as a browser says them (RFC 6454): without a default port."""
        parts = urlsplit(self.public_url.lower())
        default = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
        return f"{parts.scheme}://{parts.netloc.removesuffix(default)}"

    @property
    def offers_login(self) -> bool:
        """Whether there is a gateway that logins count at."""
        return self.authorization is not None and any(one.oauth for one in self.gateways.values())

    @property
    def has_doors(self) -> bool:
        """Whether there is a gateway that takes anything but McpTokens."""
        return self.authorization is not None and any(
            one.oauth or one.service_accounts or one.tokens_of or one.assertions_of for one in self.gateways.values()
        )

    def teams_of(self, user: str, identity_provider: str = "", groups: Iterable[str] = ()) -> frozenset[str]:
        """Return the teams that the user is in, by name or by groups of his identity provider."""
        named = self.teams.get(user, _NONE)
        by_group = [self.group_teams.get((identity_provider, group), _NONE) for group in groups] if self.group_teams else ()
        return named.union(*by_group) if by_group else named

    def url_of(self, gateway: str) -> str:
        """Return the URL of a gateway."""
        return f"{self.public_url}{names.ENDPOINT_PREFIX}/{gateway}"


@dataclass(frozen=True, slots=True)
class StoredToken:
    """What is known of a static bearer token; never the token."""

    name: str
    kind: Literal["user", "team", "organization"]
    subject: str
    """The user or team; empty for the organization."""
    gateways: frozenset[str] | None
    expires_at: float | None
    """Seconds since the epoch."""
    disabled: bool


Tokens = Mapping[str, StoredToken]
"""By hash (`sha256:…`); a hash that two objects claim is not in it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An object of the cluster that does not count, and why; it holds up no other."""

    kind: str
    namespace: str
    name: str
    reason: str

    def __str__(self) -> str:
        path = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {path}: {self.reason}"
