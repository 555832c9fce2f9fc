"""The servers behind the gateway, as each principal sees them.

Invariants: an upstream is keyed by installation, connection and principal, so that neither a session nor a credential is shared between
two callers. One is dropped when its connection changes, the egress rules in it among that, or its installation goes; a call that is under
way on it ends by itself, unless the new rules shut its server. Their number is bounded (`pool`), and a caller who has many has his own ended.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from msgspec import Raw

from wharfinger_gateway.asking import Asking
from wharfinger_gateway.pool import Pool
from wharfinger_gateway.principal import Principal
from wharfinger_gateway.server_info import VERSION
from wharfinger_gateway.snapshot import Installation, Snapshot
from wharfinger_gateway.unasked import Unasked
from wharfinger_gateway.watched import Watched
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.envelope import Identity
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.loop_time import loop_time
from wharfinger_mcp.upstream import Upstream

MAX_UPSTREAMS: Final = 10_000
IDLE_SECONDS: Final = 1800.0
MAX_AT_ONCE: Final = 16
"""Sessions of one principal with one server for calls of modern clients that can be asked."""
SWEEP_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 2.0

Key = tuple[str, str, str, str]
"""The installation's uid, the connection's fingerprint, the principal's subject, and whom of his clients the server can ask."""


class Lists(dict[str, tuple[float, tuple[Raw, ...]]]):
    """What a server listed to one principal, by method, and until when that counts (loop time)."""

    def forget(self, kind: str) -> None:
        """Ask anew for the lists of a kind, which have changed."""
        for method in [method for method in self if method.startswith(f"{kind}/")]:
            del self[method]


@dataclass(slots=True)
class Reached:
    """A server as one principal sees it, and what is sent with each request."""

    upstream: Upstream
    unasked: Unasked
    watched: Watched
    headers: dict[str, str] = field(repr=False)
    lists: Lists = field(repr=False)
    used_at: float = 0.0

    @property
    def is_in_use(self) -> bool:
        """Whether a call is under way on it, or somebody listens to what it says."""
        return self.upstream.users > self.unasked.is_listening or not self.unasked.is_free or self.watched.is_used


class Upstreams:
    """Every upstream of the process, over one pool of connections. Belongs to one event loop."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._kept: Pool[Key, Reached] = Pool(MAX_UPSTREAMS)
        """By principal's subject and key."""
        self._lists: WeakValueDictionary[tuple[str, str, str], Lists] = WeakValueDictionary()
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, installation: Installation, principal: Principal, asking: Asking) -> Reached:
        """Return the server of an installation as a caller reaches it.

        Raises MisconfiguredError where the connection's URL is none.
        """
        key = installation.uid, installation.fingerprint, principal.subject, self._session_of(installation, principal, asking)
        kept = self._kept.use(principal.subject, key)
        if kept is None:
            endpoint = parse_endpoint(installation.connection.url, guard=installation.guard)
            headers = {header.name: header.value for header in installation.connection.headers}
            upstream = Upstream(
                self._client,
                endpoint,
                Identity("wharfinger-gateway", VERSION, dict(asking.capabilities)),
                transport=installation.connection.transport,
            )
            unasked, lists = Unasked(upstream), self._lists.setdefault(key[:3], Lists())
            if len(self._kept) >= self._kept.whole:
                self._end(self._kept.spare(_is_in_use)[1])
            kept = Reached(upstream, unasked, Watched(upstream, unasked, lists.forget), headers, lists)
            self._kept.put(principal.subject, key, kept)
        kept.used_at = loop_time()
        return kept

    def _session_of(self, installation: Installation, principal: Principal, asking: Asking) -> str:
        """Return the key of a session: modern clients that can be asked have one for each call at a time, for on some transports nothing else
        tells whose call a question belongs to."""
        if not asking.is_shared:
            return asking.key
        for number in range(MAX_AT_ONCE):
            key = asking.numbered(number)
            kept = self._kept.use(principal.subject, (installation.uid, installation.fingerprint, principal.subject, key))
            if kept is None or kept.unasked.is_free:
                return key
        return asking.numbered(0)

    def leave(self, asking_key: str) -> None:
        """End the sessions with servers that were one client's alone."""
        for key in [key for _, key, _ in self._kept if key[3] == asking_key]:
            self._end(key)

    def keep(self, snapshot: Snapshot) -> None:
        """Drop what the snapshot does not name any more; its sessions die with their servers or credentials."""
        named = {(one.uid, one.fingerprint) for one in snapshot.installations.values()}
        for subject, key, kept in [one for one in self._kept if one[1][:2] not in named]:
            self._kept.take(subject, key)
            kept.unasked.close()
            kept.watched.retire()
            kept.upstream.retire()
        self._client.enforce({one.guard for one in snapshot.installations.values()})

    async def sweep(self) -> None:
        """End sessions that nobody used for half an hour, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            oldest_kept = loop_time() - IDLE_SECONDS
            for key in [key for _, key, kept in self._kept if kept.used_at < oldest_kept and not kept.is_in_use]:
                self._end(key)

    async def close(self) -> None:
        """End every session, as far as servers listen within two seconds, and close the connections."""
        for _, key, _ in tuple(self._kept):
            self._end(key)
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_SECONDS)
        await self._client.close()

    def _end(self, key: Key) -> None:
        kept = self._kept.take(key[2], key)
        if kept is None:
            return
        kept.unasked.close()
        kept.watched.retire()
        task = asyncio.create_task(kept.upstream.close(kept.headers))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _is_in_use(kept: Reached) -> bool:
    return kept.is_in_use
