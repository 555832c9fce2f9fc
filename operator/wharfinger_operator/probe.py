"""Probe environments: one task each, a few runs at a time, now and then with jitter, and at once when something about it is another.

Invariants: a run ends within a bounded time, whatever the cluster does, and leaves nothing; an API server that does not answer decides nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import ClusterError, NotFound, Unreachable
from wharfinger_cluster.informer import Informer
from wharfinger_cluster.resource import CILIUM_NETWORK_POLICY, JOB, NETWORK_POLICY, POD, Object, Scope
from wharfinger_crds import conditions as c
from wharfinger_operator.plan.probe import CANARIES, LIFETIME, PART, ROLE, RUN, ProbeQuestion, concluded, inconclusive, job, policies
from wharfinger_operator.pod_fact import pod_fact

AT_ONCE: Final = 2
INTERVAL: Final = 1800.0
"""Seconds between runs."""
AGAIN: Final = 300.0
"""Seconds after a run that has shown nothing."""
_POLICIES: Final = {resource.kind: resource for resource in (NETWORK_POLICY, CILIUM_NETWORK_POLICY)}
_TIDY: Final = 5.0
"""Seconds for taking a run away; what does not go then goes by itself."""
_QUOTED: Final = 512
T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass
class _Inquiry:
    question: ProbeQuestion
    task: asyncio.Task[None]
    result: c.Finding | None = None


class _Pods:
    """The pods of one run, by role."""

    def __init__(self, cluster: Cluster, namespace: str, run: str) -> None:
        self._changed = asyncio.Event()
        self.informer = Informer(cluster, POD, Scope(namespace, labels=f"{RUN}={run}"), on_change=lambda *_: self._changed.set())

    def of(self, role: str) -> Object | None:
        """Return the pod of a role."""
        return next((pod for pod in self.informer.store.values() if pod["metadata"]["labels"].get(ROLE) == role), None)

    async def until(self, condition: Callable[[], T | None]) -> T:
        """Return the condition's value as soon as it is true."""
        while not (value := condition()):
            self._changed.clear()
            await self._changed.wait()
        return value


class Prober:
    """Keeps probing."""

    def __init__(self, cluster: Cluster, on_result: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._on_result = on_result
        self._inquiries: dict[str, _Inquiry] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def result(self, environment: str) -> c.Finding | None:
        """Return what the newest run has shown since this program started; None: nothing of the present question."""
        inquiry = self._inquiries.get(environment)
        return inquiry.result if inquiry else None

    def ask(self, question: ProbeQuestion, *, known: bool) -> None:
        """Keep probing this, from now on; the same question again changes nothing. `known`: it has been answered before, so it does not hurry."""
        before = self._inquiries.get(question.environment)
        if before is not None and before.question.fingerprint == question.fingerprint:
            return
        self.forget(question.environment)
        task = asyncio.create_task(self._keep_probing(question, random.uniform(0, INTERVAL) if known else 0.0))  # noqa: S311 - spreads load
        self._inquiries[question.environment] = _Inquiry(question, task)

    def forget(self, environment: str) -> None:
        """Stop probing; a run under way is taken away."""
        if inquiry := self._inquiries.pop(environment, None):
            inquiry.task.cancel()

    async def close(self) -> None:
        """Stop all tasks and wait for them."""
        tasks = [inquiry.task for inquiry in self._inquiries.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_probing(self, question: ProbeQuestion, pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            result = await self._once(question)
            inquiry = self._inquiries[question.environment]
            if result is not None and result != inquiry.result:
                inquiry.result = result
                self._on_result(question.environment)
            pause = AGAIN if result is None or result.status == "Unknown" else INTERVAL
            pause *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing

    async def _once(self, question: ProbeQuestion) -> c.Finding | None:
        async with self._slots:
            try:
                return await probe(self._cluster, question)
            except Unreachable as error:
                _log.warning("probing environment %s: %s; trying again", question.environment, error)
                return None
            except Exception:  # noqa: BLE001 - a cluster's answer that we cannot digest must not end the probing
                _log.exception("probing environment %s failed", question.environment)
                return inconclusive("the probe could not be made: see the operator's log")


async def probe(cluster: Cluster, question: ProbeQuestion) -> c.Finding:
    """Make one run, and return EgressEnforced. Raises Unreachable."""
    run = secrets.token_hex(4)
    try:
        return await _run(cluster, question, run)
    except Unreachable:
        raise
    except ClusterError as error:
        # The run's name is another one each time.
        return inconclusive(f"the probe could not be made: {str(error).replace(run, '*')[:_QUOTED]}")


async def _run(cluster: Cluster, question: ProbeQuestion, run: str) -> c.Finding:
    async with _target(cluster, question, run) as owner:
        for policy in policies(question, run, owner):
            await cluster.create(_POLICIES[policy["kind"]], policy)
        pods = _Pods(cluster, question.namespace, run)
        following = asyncio.create_task(pods.informer.run())
        try:
            async with asyncio.timeout(LIFETIME - 30):
                address = await pods.until(lambda: _address(pods.of("target")))
                for role in CANARIES:
                    await cluster.create(JOB, job(question, run, role, address=address, owner=owner))
                said = await pods.until(lambda: _all_said([pods.of(role) for role in CANARIES]))
            return concluded(*said) if _address(pods.of("target")) else inconclusive("the probe's target ended before its time")
        except TimeoutError:
            return inconclusive(_missing(pods))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


@asynccontextmanager
async def _target(cluster: Cluster, question: ProbeQuestion, run: str) -> AsyncIterator[str]:
    made = await cluster.create(JOB, job(question, run, "target"))
    try:
        yield made["metadata"]["uid"]
    finally:
        with suppress(NotFound, Unreachable, TimeoutError):
            async with asyncio.timeout(_TIDY):
                await cluster.delete(JOB, made["metadata"]["name"], question.namespace)


def _address(pod: Mapping[str, Any] | None) -> str:
    """Return the address of a pod that listens, else nothing."""
    status = pod.get("status", {}) if pod else {}
    ready = any(each["ready"] for each in status.get("containerStatuses", ()) if each["name"] == PART)
    return str(status.get("podIP", "")) if ready else ""


def _all_said(pods: list[Object | None]) -> tuple[str, str] | None:
    """Return the last words of control and treatment, when both have ended."""
    words = [_last_words(pod) for pod in pods]
    control, treatment = words
    return None if control is None or treatment is None else (control, treatment)


def _last_words(pod: Mapping[str, Any] | None) -> str | None:
    for status in pod.get("status", {}).get("containerStatuses", ()) if pod else ():
        ended = status.get("state", {}).get("terminated")
        if status["name"] == PART and ended is not None:
            return str(ended.get("message", ""))[:64]
    return None


def _missing(pods: _Pods) -> str:
    """Return which pod the run waited for in vain, and why, in words that are the same each time."""
    for role in ("target", *CANARIES):
        pod = pods.of(role)
        if pod is None:
            return f"the probe's {role} pod was not made: a quota, or an admission policy of the server namespace?"
        if _address(pod) if role == "target" else _last_words(pod) is not None:
            continue
        fact = pod_fact(pod)
        # The pod's name is another one each time.
        why = fact.message.replace(fact.name, "it") if fact.message else "see its namespace's events"
        return (
            f"the probe's {role} pod did not come to an end in time: {why}"
            if role != "target"
            else f"the probe's {role} pod did not come up: {why}"
        )
    return "the probe did not come to an end in time"
