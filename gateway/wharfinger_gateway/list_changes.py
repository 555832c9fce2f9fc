"""Changes of prompts and resources at servers, for one stream of a client: who is asked to tell, and that it follows what the caller may.

A server that cannot be asked leaves a gap, and is asked again when the stream looks next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from wharfinger_gateway.asking import listening_by
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.listeners import Listener
from wharfinger_gateway.question import Rules
from wharfinger_gateway.resolve import Choice, resolve
from wharfinger_gateway.snapshot import Assignment
from wharfinger_gateway.upstreams import Reached, Upstreams
from wharfinger_mcp.errors import UpstreamError

Selected = tuple[str, Sequence[str]]
"""A prefix and what is selected under it."""


class ListChanges:
    """Those that one stream tells of. Belongs to one event loop; `end` it."""

    def __init__(self, listener: Listener, rules: Rules, kinds: Collection[str], upstreams: Upstreams) -> None:
        self._listener = listener
        self._asking = listening_by(rules)
        self._kinds = [kind for kind in kinds if kind != "tools"]
        self._upstreams = upstreams
        self._followed: dict[tuple[int, str], tuple[Reached, asyncio.Task[None]]] = {}
        self._seen: dict[str, list[tuple[str, str, Sequence[str]]]] | None = None
        if self._kinds:
            listener.on_look.append(self.look)

    def look(self, permit: Permit) -> None:
        """Follow the servers whose lists the caller sees now, and no others; tell him where it is not the same ones any more."""
        seen: dict[str, list[tuple[str, str, Sequence[str]]]] = {kind: [] for kind in self._kinds}
        wanted: dict[tuple[int, str], Reached] = {}
        for kind, assignment, choice in self._visible(permit):
            seen[kind].append((choice.installation.uid, assignment.prefix, _selected(kind, assignment)))
            with suppress(UpstreamError):
                reached = self._upstreams.of(choice.installation, permit.principal, self._asking)
                wanted[id(reached), kind] = reached
        for key in self._followed.keys() - wanted.keys():
            self._leave(key)
        for key, reached in wanted.items():
            if key not in self._followed:
                self._followed[key] = reached, asyncio.create_task(self._follow(key, reached))
        if self._seen is not None:
            for kind in self._kinds:
                if seen[kind] != self._seen[kind]:
                    self._tell(kind)
        self._seen = seen

    def end(self) -> None:
        """Follow nobody any more."""
        for key in tuple(self._followed):
            self._leave(key)

    def _visible(self, permit: Permit) -> Iterator[tuple[str, Assignment, Choice]]:
        for assignment in permit.gateway.assignments:
            choice = resolve(permit, assignment)
            if isinstance(choice, Choice) and not choice.installation.suspended:
                yield from ((kind, assignment, choice) for kind in self._kinds if _selected(kind, assignment))

    async def _follow(self, key: tuple[int, str], reached: Reached) -> None:
        try:
            await reached.watched.watch_list(key[1], self._tell, reached.headers)
        except UpstreamError:
            self._followed.pop(key, None)

    def _leave(self, key: tuple[int, str]) -> None:
        reached, task = self._followed.pop(key)
        task.cancel()
        reached.watched.unwatch_list(key[1], self._tell)

    def _tell(self, kind: str) -> None:
        self._listener.changed[kind] = None
        self._listener.look()


def _selected(kind: str, assignment: Assignment) -> Sequence[str]:
    return assignment.selection.prompts if kind == "prompts" else assignment.selection.resources
