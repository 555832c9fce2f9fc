"""`python -m bench.installations`: the operator with hundreds and thousands of installations, on a real API server without a node.

Deployment and pod controllers are halted meanwhile: what they do with thousands of Deployments that no node takes is not the
operator's, and these two cores are all that it has.
"""

import argparse
import asyncio
import os
import random
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import hollow
from bench.api_writes import written
from bench.damage import damage
from bench.interpreter import described
from bench.results import write_section
from bench.scene import ENTRIES, Scene, open_scene
from prometheus_client.parser import text_string_to_metric_families

from cluster_access import Unavailable, control_plane
from local_cluster import process
from operator_process import OperatorProcess, scale_installed_operator
from served_crds import serve_crds
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.kubeconfig import from_kubeconfig
from wharfinger_cluster.resource import DEPLOYMENT, NETWORK_POLICY, SECRET, Scope
from wharfinger_crds import names
from wharfinger_crds.kinds import INSTALLATION

SIZES: Final = (500, 1000, 2000)
REPAIRS, REPAIRS_A_SECOND = 200, 10
WRITES: Final = ("create", "apply", "patch", "update", "delete")
TICK: Final = 0.02


@dataclass
class Measured:
    """What one size gave."""

    size: int
    values: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float) -> float:
    """Return the seconds until the condition was true; raise TimeoutError when it is not in time."""
    started = time.monotonic()
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(TICK)
    return time.monotonic() - started


def resident(operator: OperatorProcess, what: str = "VmRSS") -> float:
    """Return the operator's memory in MiB."""
    lines = Path(f"/proc/{operator.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def cpu(*pids: int) -> float:
    """Return the CPU time of programs in seconds. Source: proc(5), stat fields 14 and 15."""
    found = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(fields[11]) + int(fields[12]) for fields in found) / os.sysconf("SC_CLK_TCK")


def api_server_cpu() -> float:
    """Return the CPU time of the API server and etcd in seconds."""
    return cpu(*(one.pid for one in process.recorded() if one.name in {"apiserver", "etcd"} and process.is_alive(one)))


async def samples(operator: OperatorProcess, name: str) -> list[tuple[dict[str, str], float]]:
    """Return the samples of one of its metrics."""
    families = text_string_to_metric_families(await operator.metrics())
    return [(s.labels, s.value) for family in families for s in family.samples if s.name == name]


async def requests(operator: OperatorProcess, verbs: tuple[str, ...]) -> Counter[str]:
    """Return how many requests of these verbs it made, by verb and resource, its lease apart."""
    found: Counter[str] = Counter()
    for labels, value in await samples(operator, "wharfinger_api_requests_total"):
        if labels["verb"] in verbs and labels["resource"] not in {"leases", "events"}:
            found[f"{labels['verb']} {labels['resource']}"] += int(value)
    return found


async def cold(scene: Scene, measured: Measured) -> OperatorProcess:
    """From the start of the operator to every installation Ready."""
    started, before = time.monotonic(), api_server_cpu()
    operator = await scene.operator()
    await until(scene.ready, 600)
    measured.values["cold"] = time.monotonic() - started
    await settled(operator)
    measured.values["settled"] = time.monotonic() - started
    measured.values["cpu"], measured.values["rss"] = cpu(operator.process.pid), resident(operator)
    measured.values["api server cpu"] = api_server_cpu() - before
    measured.values["peak"] = resident(operator, "VmHWM")
    made = await requests(operator, WRITES)
    measured.values["writes"] = made.total() / scene.size
    looked = [
        value for labels, value in await samples(operator, "wharfinger_reconcile_seconds_count") if labels["kind"] == INSTALLATION.kind
    ]
    measured.values["reconciliations"] = sum(looked) / scene.size
    measured.notes.append(", ".join(f"{what} {count}" for what, count in sorted(made.items())))
    measured.notes.append(", ".join(f"{what} {count}" for what, count in sorted((await requests(operator, ("get",))).items())))
    return operator


async def settled(operator: OperatorProcess) -> None:
    """Wait until the operator has had nothing to do for a second."""
    before: tuple[float, int] = (-1.0, 0)
    while True:
        done = sum(value for _, value in await samples(operator, "wharfinger_reconcile_seconds_count"))
        waiting = sum(value for _, value in await samples(operator, "wharfinger_queue_length"))
        if done == before[0] and waiting == 0:
            if before[1] == 4:
                return
            before = (done, before[1] + 1)
        else:
            before = (done, 0)
        await asyncio.sleep(0.25)


async def restarted(scene: Scene, operator: OperatorProcess, measured: Measured) -> OperatorProcess:
    """Stop the operator and start another: what it writes, and how long it takes to look at everything."""
    await operator.stop()
    before = await written(scene.kubeconfig)
    started = time.monotonic()
    operator = await scene.operator()

    async def looked() -> bool:
        try:
            done = sum(
                v for labels, v in await samples(operator, "wharfinger_reconcile_seconds_count") if labels["kind"] == INSTALLATION.kind
            )
            waiting = sum(value for _, value in await samples(operator, "wharfinger_queue_length"))
        except OSError:
            return False
        return done >= scene.size and waiting == 0

    await until(looked, 300)
    measured.values["restart"] = time.monotonic() - started
    await settled(operator)
    more = await written(scene.kubeconfig) - before
    measured.values["restart writes"] = more.total()
    measured.values["restart rss"] = resident(operator)
    measured.values["restart cpu"] = cpu(operator.process.pid)
    if more:
        measured.notes.append("restart: " + ", ".join(f"{what} {count}" for what, count in sorted(more.items())))
    return operator


async def repairs(scene: Scene, measured: Measured) -> None:
    """Delete and edit children at a bounded rate, and see when each is as it was."""
    taken: list[float] = []

    async def one(number: int) -> None:
        is_repaired = await damage(scene, number)
        taken.append(await until(is_repaired, 60))

    async with asyncio.TaskGroup() as group:
        for number in random.sample(range(scene.size), REPAIRS):
            group.create_task(one(number))
            await asyncio.sleep(1 / REPAIRS_A_SECOND)
    measured.values["repair p50"] = statistics.median(taken)
    measured.values["repair p99"] = statistics.quantiles(taken, n=100)[98]


async def failover(scene: Scene, leader: OperatorProcess, number: signal.Signals, measured: Measured) -> OperatorProcess:
    """End the leader while another waits: when that leads, and when it has repaired what was damaged meanwhile."""
    standby = await scene.operator()
    await until(lambda: _answers(standby), 30)
    await asyncio.sleep(3)  # it has seen the lease

    ended = time.monotonic()
    await leader.stop(number)
    is_repaired = await damage(scene, 1)
    await until(standby.leads, 60)
    measured.values[f"{number.name} leads"] = time.monotonic() - ended
    await until(is_repaired, 60)
    measured.values[f"{number.name} repairs"] = time.monotonic() - ended
    return standby


async def _answers(operator: OperatorProcess) -> bool:
    try:
        return bool(await operator.metrics())
    except OSError:
        return False


async def removed(scene: Scene, measured: Measured) -> None:
    """Delete all installations: when nothing of them is left."""
    started = time.monotonic()
    await scene.remove()
    managed = f"{names.MANAGED_BY}={names.MANAGER}"

    async def nothing_left() -> bool:
        for resource in (DEPLOYMENT, NETWORK_POLICY, SECRET):
            if await scene.cluster.list(resource, Scope(scene.spaces.servers, labels=managed), limit=1):
                return False
        return not await scene.cluster.list(SECRET, Scope(scene.spaces.system, labels=f"{managed},{names.PART}=connection"))

    await until(nothing_left, 300)
    measured.values["removed"] = time.monotonic() - started


async def measure(kubeconfig: str, size: int, log: Path, *, only_cold: bool) -> Measured:
    """Measure one size."""
    measured = Measured(size)
    async with Cluster(await from_kubeconfig(kubeconfig), manager="bench") as cluster, open_scene(cluster, kubeconfig, size, log) as scene:
        operator = await cold(scene, measured)
        print(measured, flush=True)
        if not only_cold:
            operator = await restarted(scene, operator, measured)
            await repairs(scene, measured)
            print(measured, flush=True)
            operator = await failover(scene, operator, signal.SIGKILL, measured)
            operator = await failover(scene, operator, signal.SIGTERM, measured)
            await removed(scene, measured)
        await operator.stop()
    print(measured, flush=True)
    return measured


def _rows(found: list[Measured]) -> Iterator[tuple[str, ...]]:
    def row(what: str, key: str, unit: str, goal: str, digits: int = 1) -> tuple[str, ...]:
        return (what, *(f"{one.values[key]:.{digits}f}{unit}" for one in found), goal)

    yield row("start of the operator to all Ready: its CPU time", "cpu", " s", "≤ 30 s")
    yield row("the same by the clock", "cold", " s", "")
    yield row("CPU time of the API server and etcd meanwhile", "api server cpu", " s", "")
    yield row("writes per installation (children, definitions, status of all kinds)", "writes", "", "≤ 10", 2)
    yield row("RSS then", "rss", " MiB", "≤ 150 MiB", 0)
    yield row("restart: until everything was looked at", "restart", " s", "≤ 10 s")
    yield row("restart: writes", "restart writes", "", "0", 0)
    yield row("restart: RSS", "restart rss", " MiB", "≤ 150 MiB", 0)
    yield row(f"drift repaired, p50 of {REPAIRS}", "repair p50", " s", "", 2)
    yield row(f"drift repaired, p99 of {REPAIRS}", "repair p99", " s", "≤ 5 s", 2)
    yield row("SIGKILL: the standby leads after", "SIGKILL leads", " s", "≤ 16 s")
    yield row("SIGKILL: it has repaired a deleted child after", "SIGKILL repairs", " s", "")
    yield row("SIGTERM: the standby leads after", "SIGTERM leads", " s", "≤ 8 s")
    yield row("SIGTERM: it has repaired a deleted child after", "SIGTERM repairs", " s", "")
    yield row("all deleted: nothing of them is left after", "removed", " s", "")


NOTES = f"""A real API server without a node, on the same cores as the operator. What stands in for the node: the bench sets the
status of each Deployment to available, and one MCP server with {len(hollow.TOOLS)} tools answers in place of every installation's, so that Ready
means children, availability and discovery. Deployment and pod controllers are halted. Each installation has a Secret of its own; {ENTRIES} entries,
one environment, one tenant namespace. The operator logs in as a pod does, without what its image does not have. Drift: children of four kinds deleted, of three edited, {REPAIRS_A_SECOND} a second."""


def main() -> int:
    """Measure and write the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.installations", description="Measures the operator with many installations.")
    parser.add_argument("size", nargs="*", type=int, help=f"numbers of installations (default {SIZES}); named ones are not written down")
    parser.add_argument("--cold", action="store_true", help="only the first part")
    arguments = parser.parse_args()
    reached = control_plane()
    if isinstance(reached, Unavailable):
        print(reached)
        return 1
    kubeconfig = str(reached.kubeconfig)
    asyncio.run(serve_crds(kubeconfig))
    log = Path(tempfile.mkdtemp()) / "operator.log"
    print(f"log of the operator: {log}", flush=True)
    # An installed one would judge the same cluster-scoped objects, and neither would ever be done.
    before = asyncio.run(scale_installed_operator(kubeconfig, 0))
    try:
        found = [asyncio.run(measure(kubeconfig, size, log, only_cold=arguments.cold)) for size in arguments.size or SIZES]
    finally:
        asyncio.run(scale_installed_operator(kubeconfig, before))
    if not arguments.size:
        load = f"It runs with {described()}. Load average of the machine at the end {os.getloadavg()[1]:.1f}."
        header = ("what", *(f"{one.size} installations" for one in found), "goal at 2000")
        print(write_section("The operator with many installations", "make bench-operator", f"{NOTES} {load}", header, _rows(found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
