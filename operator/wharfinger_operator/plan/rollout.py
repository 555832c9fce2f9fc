"""An edit of an entry reaches its servers a few at a time; decided from what is there, so a restart changes nothing about it."""

from __future__ import annotations

from typing import Any, Final

from wharfinger_crds.installation import Installation
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_operator.plan.revision import is_other_revision
from wharfinger_operator.world import InstallationWorld, Manifest

AT_ONCE: Final = 3
SHARE: Final = 10
"""One in so many installations of an entry rolls at once, where that is more than `AT_ONCE`."""


def limit(installations: int) -> int:
    """Return how many servers of an entry may roll at the same time."""
    return max(AT_ONCE, installations // SHARE)


def is_rolling(deployment: Manifest) -> bool:
    """Tell whether a Deployment is on its way to a revision: not where it has failed for its progress deadline, or has no pods."""
    status, replicas = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    if any(c["type"] == "Progressing" and c.get("reason") == "ProgressDeadlineExceeded" for c in status.get("conditions", ())):
        return bool(status.get("observedGeneration") != deployment["metadata"].get("generation"))
    settled = (
        status.get("observedGeneration") == deployment["metadata"].get("generation")
        and status.get("updatedReplicas", 0) >= replicas
        and status.get("availableReplicas", 0) >= replicas
        and status.get("unavailableReplicas", 0) == 0
    )
    return bool(replicas > 0 and not settled)


def is_behind(entry: RegistryEntry | None, installation: Installation | None) -> bool:
    """Tell whether the entry was edited since the installation's server was made from it."""
    if entry is None or installation is None:
        return False
    made_from = installation.status.entry_generation
    return made_from is not None and made_from != entry.metadata.generation


def waits_for_its_turn(world: InstallationWorld, desired: tuple[dict[str, Any], ...]) -> bool:
    """Tell whether a running server keeps its revision for now: its entry was edited, and enough others are rolling."""
    if not is_behind(world.entry, world.installation) or world.rolling < limit(world.siblings):
        return False
    wanted = next((o for o in desired if o["kind"] == "Deployment"), None)
    live = [o for o in world.owned if o["kind"] == "Deployment"]
    if wanted is None or not live or wanted["spec"]["replicas"] == 0 or any(is_rolling(each) for each in live):
        return False
    return all(is_elsewhere(wanted, each) or is_other_revision(wanted, each) for each in live)


def is_elsewhere(wanted: Manifest, live: Manifest) -> bool:
    """Tell whether a live child stands in another namespace than the one that is wanted."""
    return bool(wanted["metadata"]["namespace"] != live["metadata"]["namespace"])
