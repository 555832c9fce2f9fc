"""`up` and `down`: the only two that change the cluster, each under the machine's lock."""

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from local_cluster import api, binaries, cache, control_plane, images, lock, machine, node, process, state, teardown, toolchain
from local_cluster.layout import ADMIN_KUBECONFIG, BESIDE, HERE, LOGS, NODE, NODE_COMPONENTS, NUMBER, REPOSITORY, numbers_beside
from local_cluster.progress import LaunchError, say
from local_cluster.state import Action, Decision, Found, State, Wanted


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up."""

    kubeconfig: Path
    kubectl: Path
    has_node: bool
    action: Action
    """What had to be done for it."""


def refused() -> machine.Refusal | None:
    """Why no cluster may be started here, if so. Cheap: for those who only want to know."""
    if platform.system() != "Linux":
        return machine.refusal(machine.Machine(platform.system(), is_root=False))
    ours = [p.pid for p in process.marked()]
    return machine.refusal(machine.observe(ours, nothing_of_ours_runs=not ours))


def up(*, with_node: bool, in_use: bool = False) -> Cluster:
    """Bring up a cluster, or share the equal one that is up; with `in_use` it is kept from others' hands until this process ends.

    Raises LaunchError where the machine is not fit for it, another's use of the cluster is in the way, or a component does not come up.
    """
    if reason := refused():
        raise LaunchError(str(reason))
    if with_node and BESIDE:
        raise LaunchError(f"only the machine's cluster has a node: unset {NUMBER}")
    go = toolchain.find()
    kube = binaries.build(binaries.KUBE, go)
    parts = node.parts(go) if with_node else None
    wanted = Wanted(_fingerprint(kube), parts.fingerprint() if parts else "")
    with lock.machine("up"):
        decision = state.decide(found(), wanted)
        if decision.action is Action.REFUSE:
            raise LaunchError(decision.why)
        record = _carry_out(decision, wanted, kube, parts)
        if in_use:
            lock.use()
    return Cluster(ADMIN_KUBECONFIG, kube.parent / "kubectl", bool(record.node), decision.action)


def down(*, force: bool = False) -> str:
    """End the cluster and those beside it, whatever state they are in, and say what was done.

    Raises LaunchError where one is in use and `force` is not given.
    """
    if reason := machine.refusal(machine.Machine(platform.system(), is_root=os.geteuid() == 0)):
        raise LaunchError(str(reason))
    with lock.machine("down"):
        if (users := lock.users()) and not force:
            raise LaunchError(f"the cluster is in use by {', '.join(users)}: wait for its end, or give --force")
        was_up = teardown.remains()
        if was_up:
            teardown.teardown()
    return "down" if _end_beside(force=force) or was_up else "no cluster was up"


def _end_beside(*, force: bool) -> bool:
    numbers = () if BESIDE else numbers_beside()
    for number in numbers:
        command = [sys.executable, "-m", "local_cluster", "down", *(["--force"] if force else [])]
        if subprocess.run(command, env=os.environ | {NUMBER: number}, check=False).returncode:
            raise LaunchError(f"control plane {number} beside the cluster is still there, for the reason above")
    return bool(numbers)


def found() -> Found:
    """Look at the cluster that is there."""
    record = state.read()
    return Found(record, *(faults(record) if record else ("", "")), teardown.remains(), lock.users())


def faults(record: State) -> tuple[str, str]:
    """What is wrong with the control plane and with the node of a cluster that came up once; empty where nothing is."""
    recorded = {p.name: p for p in process.recorded()}
    ended = [name for name in record.components if name not in recorded or not process.is_alive(recorded[name])]
    cut_off = set(recorded) - set(record.components)
    fault = next((f"{name} ended" for name in ended if name not in NODE_COMPONENTS), "")
    if not fault and not api.is_ready():
        fault = "its API server is not ready"
    node_fault = next((f"{name} ended" for name in ended if name in NODE_COMPONENTS), "")
    if not node_fault and cut_off:
        node_fault = "the start of its node was cut off"
    if not fault and not node_fault and record.node and not api.node_is_ready(NODE):
        node_fault = "its node is not ready"
    return fault, node_fault


def _carry_out(decision: Decision, wanted: Wanted, kube: Path, parts: node.Parts | None) -> State:
    record = state.read()
    if decision.action is Action.REUSE and record:
        return record
    kept = record if decision.action in (Action.ADD_NODE, Action.RENEW_NODE) else None
    had = images.loaded() if kept else ()
    try:
        record = _without_node(kept, decision.why) if kept else _start_control_plane(wanted, kube, decision.why)
        if parts:
            running = node.up(kube, parts, record.address, process.recorded())
            record = replace(record, node=wanted.node, components=tuple(p.name for p in running))
            images.load(had)  # a renewed node holds what the old one held: its pods come back
            state.write(record)
    except BaseException:
        _keep_logs()
        if kept:
            teardown.end_node()
        else:
            teardown.teardown()
        raise
    return record


def _without_node(record: State, why: str) -> State:
    if why:
        say(f"renewing the node: {why}")
        teardown.end_node()
        record = replace(record, node="", components=tuple(c for c in record.components if c not in NODE_COMPONENTS))
        state.write(record)
    return record


def _start_control_plane(wanted: Wanted, kube: Path, why: str) -> State:
    if why:
        say(f"replacing a cluster: {why}")
        teardown.teardown()
    if reason := refused():
        raise LaunchError(str(reason))
    address = machine.address()
    if not address:
        raise LaunchError("this machine has no IPv4 address but 127.0.0.1, and an API server must have one: give a link an address")
    running = control_plane.up(kube, address)
    record = State(wanted.control, "", address, str(kube), tuple(p.name for p in running), str(REPOSITORY))
    state.write(record)
    return record


def _fingerprint(kube: Path) -> str:
    sources = [part for module in ("control_plane", "pki", "layout") for part in cache.tree(HERE / f"{module}.py")]
    return cache.key([kube.parent.name, *sources])


def _keep_logs() -> None:
    target = cache.folder() / "last-failure"
    shutil.rmtree(target, ignore_errors=True)
    if LOGS.exists():
        shutil.copytree(LOGS, target)
        say(f"the logs are kept in {target}")
