"""When credentials were last called with: noted in memory, written seldom, and never waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import ClusterError
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_crds.kinds import GRANT, TOKEN
from wharfinger_crds.moment import moment_of

LOOK: Final = 30.0
"""Seconds between two looks at what is to be written."""
APART: Final = 300.0
"""Seconds between two writes for one credential, at least."""
AT_ONCE: Final = 100
"""Writes of one look; the rest waits for the next."""
_RESOURCES: Final = {"McpGrant": kind_resource(GRANT), "McpToken": kind_resource(TOKEN)}
_log = logging.getLogger(__name__)


class LastUsed:
    """Keeps `status.lastUsed` of grants and tokens about right."""

    def __init__(self, cluster: Cluster, namespace: str, clock: Callable[[], float]) -> None:
        self._cluster, self._namespace, self._clock = cluster, namespace, clock
        self._used: dict[str, float] = {}
        """By kind and name; seconds since the epoch."""
        self._written: dict[str, float] = {}

    def note(self, credential: str) -> None:
        """Note that somebody calls with a credential, named as in the audit record."""
        self._used[credential] = self._clock()

    async def run(self) -> None:
        """Write, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            await self.write()

    async def write(self) -> None:
        """Write what has not been written for a while."""
        due = [one for one, used in self._used.items() if used - self._written.get(one, 0.0) >= APART]
        for credential in due[:AT_ONCE]:
            used = self._used.pop(credential)
            self._written[credential] = used
            kind, _, name = credential.partition(" ")
            if kind not in _RESOURCES:
                continue
            status = {"status": {"lastUsed": moment_of(used)}}
            try:
                await self._cluster.patch(_RESOURCES[kind], name, status, self._namespace, subresource="status")
            except ClusterError as error:
                _log.info("when %s was last used cannot be written: %s", credential, error)
        old = self._clock() - 2 * APART
        self._written = {one: at for one, at in self._written.items() if at > old}
