"""What a cluster admin granted to a tenant namespace, by annotations on it (`wharfinger.dev/teams`, `/users`, `/organization`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wharfinger_crds import names
from wharfinger_crds.installation import Owner
from wharfinger_crds.visibility import GatewayVisibility


@dataclass(frozen=True)
class NamespaceGrants:
    """Which users and teams the objects of a namespace may belong to."""

    teams: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    organization: bool = False

    def covers_user(self, user: str) -> bool:
        """Tell whether objects of the namespace may belong to the user."""
        return "*" in self.users or user in self.users

    def covers_team(self, team: str) -> bool:
        """Tell whether objects of the namespace may belong to the team."""
        return "*" in self.teams or team in self.teams

    def covers_owner(self, owner: Owner) -> bool:
        """Tell whether an installation of that owner may stand in the namespace."""
        return self.covers_user(owner.user) if owner.user else self.covers_team(owner.team or "")

    def missing_for(self, visibility: GatewayVisibility) -> str | None:
        """Return the annotation that a gateway of that visibility lacks, as `key: value`, or None."""
        if visibility.scope == "Org":
            return None if self.organization else f'{names.ORGANIZATION_GRANT}: "true"'
        if visibility.scope == "Personal":
            return None if self.covers_user(visibility.owner or "") else f'{names.USERS_GRANT}: "{visibility.owner}"'
        lacking = [team for team in visibility.teams if not self.covers_team(team)]
        return f'{names.TEAMS_GRANT}: "{",".join(lacking)}"' if lacking else None


def grants_of(annotations: Mapping[str, str]) -> NamespaceGrants:
    """Return the grants that a namespace's annotations say; lists are separated by commas."""

    def listed(key: str) -> frozenset[str]:
        return frozenset(part.strip() for part in annotations.get(key, "").split(",") if part.strip())

    return NamespaceGrants(listed(names.TEAMS_GRANT), listed(names.USERS_GRANT), annotations.get(names.ORGANIZATION_GRANT) == "true")
