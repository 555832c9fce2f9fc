"""The status of an entry."""

from __future__ import annotations

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.registry_entry import EntryTools, RegistryEntryStatus
from wharfinger_operator.plan.entry_checks import entry_problem
from wharfinger_operator.plan.used_by import used_by
from wharfinger_operator.world import EntryWorld


def entry_status(world: EntryWorld, now: str) -> RegistryEntryStatus:
    """Return the status to report: whether it can be used, by how many it is, and the tools of its newest installation that has some."""
    meta = world.entry.metadata
    findings = c.summary((entry_problem(world.entry) or c.true(c.ACCEPTED),))
    with_tools = [i for i in world.installations if i.status.tools and names.tools_name(i.status.tools.hash) in world.stored]
    newest = max(with_tools, key=lambda i: (i.metadata.creation_timestamp, i.metadata.namespace, i.metadata.name), default=None)
    tools = newest.status.tools if newest else None
    return RegistryEntryStatus(
        observed_generation=meta.generation,
        conditions=c.merged(world.entry.status.conditions, findings, meta.generation, now),
        installations=len(world.installations),
        used_by=used_by(world.installations),
        tools=EntryTools(count=tools.count, hash=tools.hash, config_map=names.tools_name(tools.hash)) if tools else None,
    )
