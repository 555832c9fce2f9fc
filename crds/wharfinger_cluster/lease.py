"""Leader election: one process among several holds a coordination.k8s.io Lease and acts, the others wait.

Invariants:
* Another's lease has expired when its record did not change for its duration *by our monotonic clock*; wall clocks are never compared.
* Every write names the version it is based on, so that of two candidates one loses with a `Conflict`.
* A holder that could not renew for `renew` seconds stops (`LeaseLost`), well before `duration`, when others may take over.

Same record as client-go's leaderelection, so `kubectl get lease` and other tools read it.
"""

import asyncio
import logging
import math
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import ClusterError, Conflict, LeaseLost, NotFound
from wharfinger_cluster.resource import LEASE, Object

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """The times of a lease, in seconds; duration > renew > retry.

    Another leads at the latest `duration` and 1.2 times `retry` after the last renewal: so long ago may the record have been seen first. The
    defaults are client-go's but for two seconds less, which leave a new leader of sixteen half a second to begin. The holder still has four
    attempts to renew, and is silent for four seconds before another may act.
    """

    duration: float = 13.0
    """How long others leave the lease alone after its record changed."""
    renew: float = 9.0
    """How long the holder goes on without a successful renewal."""
    retry: float = 2.0
    """Time between two attempts to get or renew the lease."""


class Lease:
    """One candidate for one Lease. `identity` must be unique to the process, such as the pod's name and a random suffix."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        namespace: str,
        identity: str,
        *,
        terms: Terms = Terms(),
    ) -> None:
        self._cluster = cluster
        self._name, self._namespace = name, namespace
        self._identity = identity
        self._terms = terms
        self._seen: Object = {}
        self._seen_at = time.monotonic()
        self._ours: Object | None = None
        self._renewed_at = float("-inf")

    @property
    def held(self) -> bool:
        """Whether we may act at this very moment."""
        return self._ours is not None and time.monotonic() - self._renewed_at < self._terms.renew

    async def acquire(self) -> None:
        """Wait until the lease is ours, however long it takes, through any failure."""
        while True:
            try:
                async with asyncio.timeout(self._terms.renew):
                    await self._compete()
            except Conflict:
                pass  # another candidate was faster
            except (ClusterError, TimeoutError) as error:
                _log.warning("cannot compete for the lease: %s", error or "no answer in time")
            if self.held:
                _log.info("%s holds the lease %s/%s", self._identity, self._namespace, self._name)
                return
            usual = self._terms.retry * random.uniform(1.0, 1.2)  # noqa: S311 - spreads load, guards nothing
            await asyncio.sleep(pause(self._seen, time.monotonic() - self._seen_at, usual))

    async def hold(self) -> None:
        """Renew the lease until it is lost; then raise `LeaseLost`. The caller stops acting at once, best by ending the process."""
        while self._ours is not None:
            await asyncio.sleep(self._terms.retry)
            left = self._renewed_at + self._terms.renew - time.monotonic()
            if left <= 0:
                break
            try:
                async with asyncio.timeout(left):
                    await self._renew(self._ours)
            except (ClusterError, TimeoutError) as error:
                _log.warning("cannot renew the lease: %s", error or "no answer in time")
        self._ours = None
        raise LeaseLost(f"lease {self._namespace}/{self._name}: not renewed within {self._terms.renew:g} s, or taken over")

    async def release(self) -> None:
        """Let the next candidate take over at once. Call it when the work has stopped; never raises for a failure."""
        ours, self._ours = self._ours, None
        if ours is None:
            return
        spec = {**ours["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        try:
            async with asyncio.timeout(self._terms.retry):
                await self._cluster.replace(LEASE, {**ours, "spec": spec})
        except (ClusterError, TimeoutError) as error:
            _log.warning("cannot release the lease, it will expire: %s", error or "no answer in time")

    async def _compete(self) -> None:
        asked = time.monotonic()
        try:
            found = await self._cluster.get(LEASE, self._name, self._namespace)
        except NotFound:
            blank: Object = {"metadata": {"name": self._name, "namespace": self._namespace}, "spec": self._claim({})}
            self._won(await self._cluster.create(LEASE, blank), asked)
            return
        spec = found.get("spec", {})
        if spec != self._seen:
            self._seen, self._seen_at = spec, time.monotonic()
        if is_free(spec, self._identity, time.monotonic() - self._seen_at, self._terms.duration):
            self._won(await self._cluster.replace(LEASE, {**found, "spec": self._claim(spec)}), asked)

    async def _renew(self, ours: Object) -> None:
        asked = time.monotonic()
        try:
            self._won(await self._cluster.replace(LEASE, {**ours, "spec": {**ours["spec"], "renewTime": _now()}}), asked)
        except Conflict:
            try:
                found = await self._cluster.get(LEASE, self._name, self._namespace)
            except NotFound:
                found = {}
            # Others may have annotated our lease; then only the version is new.
            self._ours = found if found.get("spec", {}).get("holderIdentity") == self._identity else None

    def _won(self, lease: Object, asked: float) -> None:
        # From when the request left, not when it came back: the others' clocks may have started in between.
        self._ours, self._renewed_at = lease, asked

    def _claim(self, spec: Object) -> Object:
        previous, transitions = spec.get("holderIdentity"), spec.get("leaseTransitions", 0)
        return {
            **spec,
            "holderIdentity": self._identity,
            "leaseDurationSeconds": math.ceil(self._terms.duration),
            "acquireTime": _now(),
            "renewTime": _now(),
            "leaseTransitions": transitions + (previous != self._identity) if spec else 0,
        }


def is_free(spec: Object, identity: str, unchanged_for: float, duration: float) -> bool:
    """Decide whether `identity` may take a lease whose record has not changed for that many seconds."""
    holder = spec.get("holderIdentity") or ""
    return holder in {"", identity} or unchanged_for >= (spec.get("leaseDurationSeconds") or duration)


def pause(spec: Object, unchanged_for: float, usual: float) -> float:
    """Return the seconds until a lease is looked at again: the usual ones, or until it ends where that is sooner."""
    left = (spec.get("leaseDurationSeconds") or 0) - unchanged_for
    return min(usual, left) if left > 0 else usual


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
