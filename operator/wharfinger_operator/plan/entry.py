"""The status of an entry."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.registry_entry import EntryTools, RegistryEntryStatus
from wharfinger_operator.plan.entry_checks import entry_problem
from wharfinger_operator.plan.used_by import used_by
from wharfinger_operator.world import EntryWorld

_SHOWN: Final = 10


def entry_status(world: EntryWorld, now: str) -> RegistryEntryStatus:
    """Return the status to report: whether it can be used, by how many it is, and the tools of its newest installation that has some."""
    meta = world.entry.metadata
    ready, *rest = c.summary((entry_problem(world.entry) or c.true(c.ACCEPTED),))
    findings = (ready, rest[0], *_pinned(world), *rest[1:])
    return RegistryEntryStatus(
        observed_generation=meta.generation,
        conditions=c.merged(world.entry.status.conditions, findings, meta.generation, now),
        installations=len(world.installations),
        used_by=used_by(world.installations),
        tools=_tools(world),
    )


def _tools(world: EntryWorld) -> EntryTools | None:
    """Return what gateways get of the newest installation that has tools."""
    with_tools = [i for i in world.installations if i.status.tools and names.tools_name(i.status.tools.offered) in world.stored]
    newest = max(with_tools, key=lambda i: (i.metadata.creation_timestamp, i.metadata.namespace, i.metadata.name), default=None)
    if newest is None or newest.status.tools is None:
        return None
    offered = newest.status.tools.offered
    config_map = names.tools_name(offered)
    return EntryTools(count=len(world.stored[config_map].digests), hash=offered, config_map=config_map)


def _pinned(world: EntryWorld) -> tuple[c.Finding, ...]:
    """Return ToolsPinned where tools are pinned: which definitions wait for whoever may change the entry."""
    settings = world.entry.spec.tools
    if settings is None or settings.pinning == "Off":
        return ()
    waiting: defaultdict[str, list[str]] = defaultdict(list)
    for one in world.installations:
        pinned = one.status.condition(c.TOOLS_PINNED)
        if pinned is not None and pinned.status == "False" and one.status.tools and one.status.tools.acceptance:
            waiting[one.status.tools.acceptance].append(f"{one.metadata.namespace}/{one.metadata.name}")
    if not waiting:
        return (c.true(c.TOOLS_PINNED),)
    ordered = sorted((sorted(where), acceptance) for acceptance, where in waiting.items())
    shown = "; ".join(f"{acceptance} of {_listed(where)}" for where, acceptance in ordered[:_SHOWN])
    more = f"; and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    message = f"definitions wait to be accepted by naming them in spec.tools.accepted: {shown}{more}; what changed, the installations say"
    return (c.false(c.TOOLS_PINNED, c.DEFINITIONS_CHANGED, message),)


def _listed(where: list[str]) -> str:
    return ", ".join(where[:_SHOWN]) + (f" and {len(where) - _SHOWN} more" if len(where) > _SHOWN else "")
