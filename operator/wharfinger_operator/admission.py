"""What the API server made of our own writes, where that is not what we wrote.

Webhooks of a cluster add sidecars and raise resources on each write. To write again would only bring the same answer, for ever; so an
answer is remembered until it is another one, and said in a condition. What a person changes later is not our write's answer, and is repaired.
Nothing is kept over a restart: one write then finds out again, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wharfinger_crds import conditions as c
from wharfinger_operator.diff import added, is_answered, is_frozen, is_settled, missing, state_of
from wharfinger_operator.world import Key, Manifest, key_of

_SHOWN: Final = 10


class Admission:
    """Answers of the API server, by child."""

    def __init__(self) -> None:
        self.answers: dict[Key, str] = {}

    def learn(self, written: dict[str, Any], answer: Manifest, *, replaced: bool) -> bool:
        """Take in what a write came back as, and tell whether that is what was written.

        An applied object may hold what a person added to it, a replaced one only what admission did.
        """
        foreign = bool(added(written, answer))
        changed = set(missing(written, answer)) - {"metadata.resourceVersion"}
        if (replaced and foreign) or (not foreign and changed):
            self.answers[key_of(written)] = state_of(answer)
        else:
            self.forget(written)
        return not (foreign or changed or is_frozen(written, answer) or answer["metadata"].get("deletionTimestamp"))

    def forget(self, child: Manifest) -> None:
        """Drop what is known of a child."""
        self.answers.pop(key_of(child), None)

    def finding(self, desired: Iterable[dict[str, Any]], owned: Iterable[Manifest]) -> c.Finding | None:
        """Return what admission does to the children of an installation (Accepted=True, with the paths), or None."""
        if not self.answers:
            return None
        live: Mapping[Key, Manifest] = {key_of(manifest): manifest for manifest in owned}
        changed: list[str] = []
        for manifest in desired:
            found = live.get(key_of(manifest))
            if (
                found is not None
                and is_answered(manifest, found, self.answers)
                and (added(manifest, found) or not is_settled(manifest, found))
            ):
                paths = sorted({*added(manifest, found), *missing(manifest, found)})
                changed += [f"{manifest['kind']} {manifest['metadata']['name']}: {path}" for path in paths]
        if not changed:
            return None
        more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        message = (
            f"admission in this cluster changes what the operator writes, which is left so: {'; '.join(sorted(changed)[:_SHOWN])}{more}"
        )
        return c.true(c.ACCEPTED, c.CHANGED_BY_ADMISSION, message)
