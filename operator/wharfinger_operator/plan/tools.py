"""Which tool definitions an installation has, which of them are accepted, and which gateways get.

What a server says of its tools steers models, so an entry can pin it. Invariants: the first list that is seen is the pin, unless the
entry names accepted ones; a pin moves only to a list that the entry names; what is withheld is in no list that a gateway reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.installation import ToolSummary
from wharfinger_crds.registry_entry import ToolSettings
from wharfinger_crds.tool_definitions import Definitions, acceptance_hash, definitions_of
from wharfinger_operator.plan.once import once
from wharfinger_operator.world import InstallationWorld

NAMES_SHOWN: Final = 100
_NAMES_IN_MESSAGE: Final = 20


@dataclass(frozen=True)
class ToolsPlan:
    """What counts of an installation's tools."""

    finding: c.Finding
    """ToolsPinned."""
    summary: ToolSummary | None = None
    """For the status."""
    offered: str | None = None
    """Hash of the list that gateways get; None: they get no tools."""
    missing: tuple[Definitions, ...] = field(default=(), repr=False)
    """Lists that are not stored yet."""


@dataclass(frozen=True)
class _Known:
    hash: str
    digests: Mapping[str, str]
    definitions: Definitions | None
    """None: not asked for since this program started; they are stored."""


@dataclass(frozen=True)
class _Difference:
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    same: Mapping[str, str]

    def __str__(self) -> str:
        return "; ".join(f"{word}: {_shown(found)}" for word, found in self._words() if found)

    def _words(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return ("added", self.added), ("changed", self.changed), ("removed", self.removed)


def _planned(world: InstallationWorld) -> ToolsPlan:
    """Return what counts of the newest list that is known: the newest discovered, else the one that the status names."""
    before = world.installation.status.tools if world.installation else None
    known = _known(world, before)
    settings = (world.entry.spec.tools if world.entry else None) or ToolSettings()
    if known is None:
        waiting = c.unknown(c.TOOLS_PINNED, c.WAITING, "the server's tools are not known yet")
        is_pinned = before is not None and before.pinned_hash is not None
        return ToolsPlan(_off() if settings.pinning == "Off" else waiting, before if is_pinned else None)
    new = known.definitions if known.definitions and names.tools_name(known.hash) not in world.stored else None
    missing = (new,) if new else ()
    if settings.pinning == "Off" or world.entry is None:
        return ToolsPlan(_off(), _summary(known, None, None), known.hash, missing)
    pinned, finding = _pin(world, settings, known, before)
    if finding is not None:
        return ToolsPlan(finding, _summary(known, pinned, None), known.hash, missing)
    return _drifted(world, settings, known, before, missing)


plan_tools: Final = once(_planned, kept=1)
"""What counts of an installation's tools; several parts of a plan and of its status ask for it."""


def is_told(world: InstallationWorld) -> bool:
    """Tell whether the status says what the server offers, as entry and installation are now: so it was asked before, and this is stored."""
    installation, entry = world.installation, world.entry
    if installation is None or entry is None or installation.status.tools is None:
        return False
    status, discovered = installation.status, installation.status.condition(c.DISCOVERED)
    return (
        discovered is not None
        and (discovered.status, discovered.observed_generation) == ("True", installation.metadata.generation)
        and status.entry_generation == entry.metadata.generation
        and names.tools_name(installation.status.tools.hash) in world.stored
    )


def _off() -> c.Finding:
    return c.true(c.TOOLS_PINNED, c.NOT_NEEDED, "pinning is off")


def _known(world: InstallationWorld, before: ToolSummary | None) -> _Known | None:
    found = world.discovery.definitions if world.discovery else None
    stored = world.stored.get(names.tools_name(before.hash)) if before else None
    if found is None:
        return _Known(before.hash, stored.digests, None) if before and stored else None
    # Only the order of keys differs: the stored text stays, so that nothing is written.
    kept = before.hash if before and stored and stored.digests == found.digests else found.hash
    return _Known(kept, found.digests, found)


def _pin(
    world: InstallationWorld, settings: ToolSettings, known: _Known, before: ToolSummary | None
) -> tuple[str | None, c.Finding | None]:
    """Return the pin and the finding; no finding where what is known differs from the pin."""
    if acceptance_hash(known.digests) in settings.accepted:
        return known.hash, c.true(c.TOOLS_PINNED, c.SUCCEEDED, "the definitions are those that the entry accepts")
    pinned = before.pinned_hash if before else None
    if pinned is not None:
        same = pinned == known.hash or _base(world, pinned) == known.digests
        return pinned, c.true(c.TOOLS_PINNED, c.FIRST_SEEN, "the definitions are still those that were pinned") if same else None
    if settings.accepted:
        return None, None
    if not known.digests:
        return None, c.unknown(c.TOOLS_PINNED, c.NO_TOOLS, "the server lists no tools, so there is nothing to pin yet")
    return known.hash, c.true(c.TOOLS_PINNED, c.FIRST_SEEN, "the definitions are still those that were pinned")


def _base(world: InstallationWorld, pinned: str | None) -> Mapping[str, str] | None:
    stored = world.stored.get(names.tools_name(pinned)) if pinned else None
    return stored.digests if stored else None


def _drifted(
    world: InstallationWorld, settings: ToolSettings, known: _Known, before: ToolSummary | None, missing: tuple[Definitions, ...]
) -> ToolsPlan:
    pinned = before.pinned_hash if before else None
    base = _base(world, pinned)
    difference = _difference(base or {}, known.digests)
    withheld = settings.pinning == "Withhold" and (difference.added or difference.changed)
    finding = _drift_finding(world, settings, known, difference if base is not None else None)
    if not withheld:
        return ToolsPlan(finding, _summary(known, pinned, None), known.hash, missing)
    filtered = _filtered(world, known, difference.same)
    if isinstance(filtered, Definitions):
        return ToolsPlan(finding, _summary(known, pinned, filtered.hash), filtered.hash, (*missing, filtered))
    return ToolsPlan(finding, _summary(known, pinned, filtered), filtered, missing)


def _difference(base: Mapping[str, str], now: Mapping[str, str]) -> _Difference:
    return _Difference(
        added=tuple(sorted(now.keys() - base.keys())),
        removed=tuple(sorted(base.keys() - now.keys())),
        changed=tuple(sorted(name for name in now.keys() & base.keys() if now[name] != base[name])),
        same={name: digest for name, digest in sorted(now.items()) if base.get(name) == digest},
    )


def _filtered(world: InstallationWorld, known: _Known, same: Mapping[str, str]) -> Definitions | str | None:
    """Return the list of the unchanged tools: the hash of a stored one, one to be stored, or None until the server was asked again."""
    tools = world.installation.status.tools if world.installation else None
    for candidate in (tools.offered_hash, tools.pinned_hash) if tools else ():
        if candidate is not None and _base(world, candidate) == same:
            return candidate
    if same and known.definitions is None:
        return None
    listed: list[dict[str, Any]] = json.loads(known.definitions.text) if known.definitions else []
    return definitions_of([tool for tool in listed if tool["name"] in same])


def _drift_finding(world: InstallationWorld, settings: ToolSettings, known: _Known, difference: _Difference | None) -> c.Finding:
    entry = world.entry.metadata.name if world.entry else ""
    how = f"to accept them, add {acceptance_hash(known.digests)} to spec.tools.accepted of McpRegistryEntry {entry}"
    if difference is None:
        effect = "gateways get none of them" if settings.pinning == "Withhold" else "gateways get them all the same"
        return c.false(
            c.TOOLS_PINNED, c.DEFINITIONS_NOT_ACCEPTED, f"the definitions are none that the entry accepts; {effect} until then; {how}"
        )
    effect = (
        "gateways get neither what was added nor what was changed" if settings.pinning == "Withhold" else "gateways get them as they are"
    )
    return c.false(c.TOOLS_PINNED, c.DEFINITIONS_CHANGED, f"the server changed its tools ({difference}); {effect}; {how}")


def _summary(known: _Known, pinned: str | None, offered: str | None) -> ToolSummary:
    listed = tuple(known.digests)
    return ToolSummary(
        count=len(listed),
        names=listed[:NAMES_SHOWN],
        hash=known.hash,
        acceptance=acceptance_hash(known.digests),
        pinned_hash=pinned,
        offered_hash=offered,
    )


def _shown(found: Iterable[str]) -> str:
    ordered = sorted(found)
    more = f" and {len(ordered) - _NAMES_IN_MESSAGE} more" if len(ordered) > _NAMES_IN_MESSAGE else ""
    return ", ".join(ordered[:_NAMES_IN_MESSAGE]) + more
