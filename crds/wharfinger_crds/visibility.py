"""Who may see an object: the organization, named teams, or one person."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from wharfinger_crds.base import Label, Model, UserName, set_list, validations


class EntryVisibility(Model):
    """Who may see and install an entry."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            ("(self.scope == 'Team') == (has(self.teams) && size(self.teams) > 0)", "teams goes with scope Team, and only with it")
        )
    )
    scope: Literal["Org", "Team"]
    """Org: everyone; Team: the members of the named teams."""
    teams: tuple[Label, ...] = set_list(32)
    """Names of teams from the platform settings."""


class GatewayVisibility(Model):
    """Who may see and use a gateway."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            ("(self.scope == 'Team') == (has(self.teams) && size(self.teams) > 0)", "teams goes with scope Team, and only with it"),
            ("(self.scope == 'Personal') == has(self.owner)", "owner goes with scope Personal, and only with it"),
        )
    )
    scope: Literal["Personal", "Team", "Org"]
    """Personal: its owner; Team: the members of the named teams; Org: everyone. It must be granted to the namespace."""
    owner: UserName | None = None
    """`<identity provider>:<user>`."""
    teams: tuple[Label, ...] = set_list(32)
    """Names of teams from the platform settings."""
