"""Who calls: one value, whatever door he came through.

Invariants: a principal is made of one head, and kept no longer than its admission holds; what it may do is decided with it. It holds no token.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

PrincipalKind = Literal["user", "team", "organization"]
Door = Literal["BearerToken", "OAuth", "IdentityProvider", "ServiceAccount"]
"""What kind of credential was accepted; a gateway says which it takes."""


@dataclass(frozen=True)
class Principal:
    """A caller whose credential was accepted."""

    kind: PrincipalKind
    user: str | None
    """`<identity provider>:<user>`; None for a team or the organization."""
    teams: frozenset[str]
    """A user's teams as of this request; a team token's one team."""
    credential: str
    """Kind and name of the object that the credential is recorded in, for the audit record."""
    gateways: frozenset[str] | None = None
    """Ids of the gateways that the credential counts for; None: all."""
    door: Door = "BearerToken"
    identity_provider: str = ""
    """Whose token it is, of IdentityProvider."""
    account: str = ""
    """`<namespace>/<name>` of a service account, which calls as its teams."""
    client: str = ""
    """Name of the OAuth client, as it calls itself."""
    until: float = field(default=math.inf, compare=False)
    """When the credential must be judged anew at the latest, in seconds since the epoch."""

    @cached_property
    def subject(self) -> str:
        """The caller in words: the same for all credentials of one user, team or organization."""
        if self.kind == "user":
            return f"user {self.user}"
        if self.account:
            return f"service account {self.account}"
        return f"team {','.join(sorted(self.teams))}" if self.kind == "team" else "organization"

    @cached_property
    def digest(self) -> str:
        """A short digest of the subject, to bind sessions to it."""
        return hashlib.sha256(self.subject.encode()).hexdigest()[:32]
