"""Ends a cluster, whole or half-started, and leaves nothing of it but the cache.

Nothing is asked to save its state, for that goes too. Mounts need no care: the node's processes have a mount namespace of their own, which
goes with the last of them, and so this program, which is outside of it, never sees (and never deletes through) a volume's mount.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from local_cluster import process
from local_cluster.layout import (
    BESIDE,
    BRIDGE,
    CNI,
    CONTAINERD,
    KUBELET,
    NAT_TABLE,
    NODE_COMPONENTS,
    PIDS,
    POD_LOGS,
    POLICY_TABLE,
    PRIVATE_FOLDERS,
    RUN,
)
from local_cluster.progress import LaunchError, step

SYSCTLS = RUN / "sysctls.json"
CGROUPS = Path("/sys/fs/cgroup")
END_SECONDS = 20.0


def remains() -> bool:
    """Whether anything of a cluster is there: its folder or a process."""
    return RUN.exists() or bool(process.marked())


def teardown() -> None:
    """End every process of ours and remove what they left. Raises LaunchError naming what would not go."""
    with step("ending the cluster"):
        if not BESIDE:
            end_node()
        process.end({*process.marked(), *process.recorded()})
        if RUN.exists():
            shutil.rmtree(RUN)


def end_node() -> None:
    """End what runs on the node, and the node; a control plane stays."""
    process.end(p for p in process.marked() if p.name == "kubelet")  # first: it would start containers again
    _end_pods()
    process.end(p for p in process.marked() if p.name in NODE_COMPONENTS)
    _remove_network()
    _remove_cgroups()
    _remove_mount_points()
    _restore_sysctls()
    for name in NODE_COMPONENTS:
        (PIDS / f"{name}.json").unlink(missing_ok=True)
    for folder in (CONTAINERD, CNI, KUBELET, POD_LOGS):
        if folder.exists():
            shutil.rmtree(folder)


def pod_cgroups() -> tuple[Path, ...]:
    """The cgroups that the kubelet made, one for each hierarchy (one in all under cgroup v2). No other kubelet is ever beside ours."""
    return tuple(p for p in (CGROUPS / "kubepods", *sorted(CGROUPS.glob("*/kubepods"))) if p.is_dir())


def _end_pods() -> None:
    deadline = time.monotonic() + END_SECONDS
    while members := _members():
        if time.monotonic() > deadline:
            raise LaunchError(f"pods' processes not gone {END_SECONDS:.0f} s after SIGKILL: {sorted(members)}")
        for pid in members:
            _kill(pid)
        time.sleep(0.05)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _members() -> frozenset[int]:
    pids: set[int] = set()
    for root in pod_cgroups():
        # Which passes over what goes while it walks, as cgroups of ending pods do.
        for folder, _, _ in os.walk(root):
            try:
                pids.update(int(line) for line in Path(folder, "cgroup.procs").read_text().split())
            except OSError:
                continue
    return frozenset(pid for pid in pids if process.start_time(pid) is not None)


def _remove_network() -> None:
    for link in _json("ip", "-j", "link", "show", "master", BRIDGE):
        _quietly("ip", "link", "delete", str(link["ifname"]))
    _quietly("ip", "link", "delete", BRIDGE)
    for family, table in (("ip", "kube-proxy"), ("ip6", "kube-proxy"), ("inet", POLICY_TABLE), ("inet", NAT_TABLE)):
        _quietly("nft", "delete", "table", family, table)


def _remove_cgroups() -> None:
    for root in pod_cgroups():
        for folder in sorted((p for p in root.rglob("*") if p.is_dir()), key=lambda p: len(p.parts), reverse=True):
            folder.rmdir()
        root.rmdir()


def _remove_mount_points() -> None:
    """The folders that the node's private ones were mounted over, where they were made for it."""
    for folder in PRIVATE_FOLDERS:
        try:
            Path(folder).rmdir()
        except OSError:
            continue  # not there, or another's things are in it


def _restore_sysctls() -> None:
    try:
        before: dict[str, str] = json.loads(SYSCTLS.read_text())
    except (OSError, ValueError):
        return
    for name, value in before.items():
        (Path("/proc/sys") / name).write_text(value)
    SYSCTLS.unlink()


def _json(*command: str) -> list[dict[str, object]]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return list(json.loads(done.stdout)) if done.returncode == 0 and done.stdout.strip() else []


def _quietly(*command: str) -> None:
    try:
        subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        return  # a control plane alone needs neither ip nor nft
