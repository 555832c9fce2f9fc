"""Ask the bridges of servers that are not ready what is wrong: one task an installation, less and less often.

Invariants: only fixed words leave this module (`symptom`), since a server's own may hold anything; a bridge that does not answer says
nothing; answers are bounded in size and time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

from wharfinger_cluster.client import Cluster, LogTail
from wharfinger_cluster.errors import ClusterError
from wharfinger_crds import names
from wharfinger_operator.symptom import symptom
from wharfinger_operator.world import PodFact

AT_ONCE: Final = 16
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 30.0
_TAIL: Final = LogTail(names.SERVER_CONTAINER, lines=60, limit=16384)
_ANSWER: Final = 1024
_TIMEOUT: Final = aiohttp.ClientTimeout(total=3)
_Key = tuple[str, str]


@dataclass
class _Inquiry:
    pod: PodFact
    task: asyncio.Task[None]
    found: PodFact | None = None


class BridgeAsker:
    """Keeps asking about pods until they are ready or gone."""

    def __init__(self, cluster: Cluster, on_change: Callable[[str, str], None]) -> None:
        self._cluster = cluster
        self._on_change = on_change
        self._inquiries: dict[_Key, _Inquiry] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def found(self, namespace: str, name: str) -> PodFact | None:
        """Return what is wrong with an installation's newest pod, as far as its bridge knows."""
        inquiry = self._inquiries.get((namespace, name))
        return inquiry.found if inquiry else None

    def ask(self, namespace: str, name: str, pod: PodFact | None) -> None:
        """Ask about this pod from now on; None: about none any more."""
        key = (namespace, name)
        inquiry = self._inquiries.get(key)
        if inquiry is not None and pod is not None and inquiry.pod.address == pod.address:
            return
        if inquiry is not None:
            inquiry.task.cancel()
            del self._inquiries[key]
        if pod is not None:
            self._inquiries[key] = _Inquiry(pod, asyncio.create_task(self._keep_asking(key, pod)))

    async def close(self) -> None:
        """Stop all tasks and wait for them."""
        tasks = [inquiry.task for inquiry in self._inquiries.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_asking(self, key: _Key, pod: PodFact) -> None:
        pause = FIRST_PAUSE
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while True:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)
                async with self._slots:
                    said = await _readyz(session, pod.address)
                    found = symptom(pod.name, said, await self._log(pod)) if said else None
                # A server that is being started once more is no better off than before.
                if found is not None and found != self._inquiries[key].found:
                    self._inquiries[key].found = found
                    self._on_change(*key)

    async def _log(self, pod: PodFact) -> str:
        try:
            return await self._cluster.log(pod.name, pod.namespace, _TAIL)
        except ClusterError:
            return ""


async def _readyz(session: aiohttp.ClientSession, address: str) -> str:
    host = f"[{address}]" if ":" in address else address
    try:
        async with session.get(f"http://{host}:{names.SERVER_PORT}/readyz", allow_redirects=False) as answer:
            return (await answer.content.read(_ANSWER)).decode(errors="replace") if answer.status == 503 else ""
    except (aiohttp.ClientError, TimeoutError, OSError):
        return ""
