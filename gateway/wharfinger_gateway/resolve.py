"""Which installation serves the caller. Pure; asked at every call, never at listing alone.

| caller       | pinned                       | at call time                                                                          |
|--------------|------------------------------|---------------------------------------------------------------------------------------|
| user         | owner scope, throughGateways | own → a team's (the gateway's teams first) → shared by a member → refused with a link |
| team         | owner scope, throughGateways | the team's → refused with a link                                                      |
| organization | throughGateways              | refused: needs a user or a team                                                       |

Owner scope: the owner; the members, and the token, of an owning team; users whom the owner shares with. Sharing counts only in teams
that both the owner and the caller are members of today, so nobody can push a connection of his into a team that is not his. The link
goes to those who see the entry, and to nobody else.
Ties: the entry's own environment first, then namespace, then name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal
from urllib.parse import quote

import msgspec

from wharfinger_crds import names
from wharfinger_gateway.authorize import Permit, sees
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.snapshot import Assignment, Installation

How = Literal["pinned", "pinned_through_gateway", "own", "team", "shared"]


class Choice(msgspec.Struct, frozen=True):
    """The installation that serves the call, and by which rule it was chosen."""

    installation: Installation
    how: How


def resolve(permit: Permit, assignment: Assignment) -> Choice | Refusal:
    """Return the installation that serves the caller, or why there is none."""
    if assignment.pinned is not None:
        return _pinned(permit, permit.snapshot.installations.get(assignment.pinned))
    if permit.principal.kind == "organization":
        return Refusal(Reason.SUBJECT_NEEDED)
    for how, tier in _tiers(permit, assignment.entry or ""):
        usable = [i for i in tier if assignment.environment in (None, i.environment)]
        if usable:
            return Choice(_first(permit, usable), how)
    return _missing(permit, assignment.entry or "")


def _pinned(permit: Permit, installation: Installation | None) -> Choice | Refusal:
    if installation is None:
        return Refusal(Reason.INSTALLATION_MISSING)
    if _in_owner_scope(permit, installation):
        return Choice(installation, "pinned")
    return Choice(installation, "pinned_through_gateway") if installation.through_gateways else Refusal(Reason.INSTALLATION_MISSING)


def _in_owner_scope(permit: Permit, installation: Installation) -> bool:
    caller = permit.principal
    if installation.team is not None:
        return installation.team in caller.teams
    if caller.user is None or installation.user is None:
        return False
    return caller.user == installation.user or not installation.shared_in.isdisjoint(caller.teams)


def _tiers(permit: Permit, entry: str) -> Iterator[tuple[How, Iterable[Installation]]]:
    caller, index = permit.principal, permit.snapshot.index
    if caller.user is not None:
        yield "own", index.own.get((entry, caller.user), ())
    gateways_teams = caller.teams & permit.gateway.visibility.teams
    for teams in (gateways_teams, caller.teams - gateways_teams):
        yield "team", [i for team in teams for i in index.team.get((entry, team), ())]
    if caller.user is not None:
        yield "shared", [i for team in caller.teams for i in index.shared.get((entry, team), ())]


def _first(permit: Permit, tier: Iterable[Installation]) -> Installation:
    def order(installation: Installation) -> tuple[bool, str, str]:
        entry = permit.snapshot.entries.get(installation.entry)
        return entry is None or installation.environment != entry.environment, installation.namespace, installation.name

    return min(tier, key=order)


def _missing(permit: Permit, name: str) -> Refusal:
    entry = permit.snapshot.entries.get(name)
    if entry is None or not sees(permit.principal, entry.visibility):
        return Refusal(Reason.INSTALLATION_MISSING)
    return Refusal(Reason.INSTALLATION_NEEDED, detail=f"{permit.snapshot.public_url}{names.INSTALL_PATH}/{quote(name)}")
