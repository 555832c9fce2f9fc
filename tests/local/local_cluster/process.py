"""The processes of the cluster: each in a session of its own, with a log and a pid file.

A process is only ever ended when it is known to be ours: the pid file names its pid *and* start time (a recycled pid has another),
and every process of ours carries MARKER in its environment, so that one whose launcher died before writing the pid file is found too.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from local_cluster.layout import LOGS, MARKER, PIDS
from local_cluster.progress import LaunchError

PROC = Path("/proc")
END_SECONDS = 20.0


@dataclass(frozen=True)
class Component:
    """A long-running program of the cluster and its command line."""

    name: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Running:
    """A process, told apart from any later one with the same pid by its start time (clock ticks since boot)."""

    name: str
    pid: int
    started: int


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where there is none, or only its zombie. Source: proc(5), stat field 22."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        # A killed process is a zombie as soon as its first thread is, while others may still hold its ports.
        if fields[0] in "ZX" and len(list((PROC / str(pid) / "task").iterdir())) <= 1:
            return None
    except OSError:
        return None
    return int(fields[19])


def is_alive(running: Running) -> bool:
    """Whether this very process still runs."""
    return start_time(running.pid) == running.started


def start(component: Component) -> Running:
    """Start a component; its output goes to its log, which is begun anew."""
    PIDS.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{component.name}.log").open("wb") as log:
        child = subprocess.Popen(
            component.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | dict(component.env) | {MARKER: component.name},
        )
    child.returncode = 0  # it is meant to outlive this process: unset, Popen would warn that nobody waited for it
    started = start_time(child.pid)
    if started is None:
        raise died(component.name)
    (PIDS / f"{component.name}.json").write_text(json.dumps({"pid": child.pid, "started": started}))
    return Running(component.name, child.pid, started)


def recorded() -> tuple[Running, ...]:
    """The processes that the pid files name, alive or not."""
    found = []
    for file in sorted(PIDS.glob("*.json")):
        try:
            record = json.loads(file.read_text())
            found.append(Running(file.stem, int(record["pid"]), int(record["started"])))
        except (ValueError, KeyError, TypeError):
            found.append(Running(file.stem, 0, 0))
    return tuple(found)


def marked() -> tuple[Running, ...]:
    """Every living process that carries MARKER, whoever started it: components and the shims that containerd leaves behind."""
    wanted = f"{MARKER}=".encode()
    found = []
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        name = next((item[len(wanted) :].decode() for item in environment if item.startswith(wanted)), None)
        started = start_time(int(folder.name))
        if name is not None and started is not None:
            found.append(Running(name, int(folder.name), started))
    return tuple(found)


def end(processes: Iterable[Running]) -> None:
    """Kill processes and wait until they are gone. Their state is thrown away with the cluster, so none is asked to save it."""
    waiting = [p for p in processes if p.pid > 1 and is_alive(p)]
    for process in waiting:
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        try:
            if is_alive(process):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)
    deadline = time.monotonic() + END_SECONDS
    while waiting := [p for p in waiting if is_alive(p)]:
        if time.monotonic() > deadline:
            raise LaunchError(f"not gone {END_SECONDS:.0f} s after SIGKILL: {', '.join(f'{p.name} (pid {p.pid})' for p in waiting)}")
        time.sleep(0.02)


def tail(name: str, lines: int = 20) -> str:
    """The last lines of a component's log."""
    try:
        return "\n".join((LOGS / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def died(name: str) -> LaunchError:
    """The error that says that a component ended, with the end of its log."""
    return LaunchError(f"{name} ended; the last lines of its log:\n{tail(name)}")


def wait_until(ready: Callable[[], bool], what: str, seconds: float, needs: Iterable[Running]) -> None:
    """Poll until `ready`. Raises LaunchError as soon as one of the processes it needs has ended, or when the time is over."""
    needed = tuple(needs)
    deadline = time.monotonic() + seconds
    while not ready():
        for process in needed:
            if not is_alive(process):
                raise died(process.name)
        if time.monotonic() > deadline:
            raise LaunchError(f"{what}: not so after {seconds:.0f} s, though every process runs; their logs say more")
        time.sleep(0.1)
