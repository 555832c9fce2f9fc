"""Whether this machine may carry the cluster: what is seen of it, and the pure decision.

The cluster takes ports, links, nft tables and cgroups that any Kubernetes takes, so it never starts beside another one.
"""

import ipaddress
import json
import os
import platform
import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cluster.layout import BRIDGE, CONTROL_PLANE_PORTS, NODE_PORTS, POD_CIDR, SERVICE_CIDR

KUBERNETES = frozenset(
    {
        "kubelet",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "kubelite",
        "hyperkube",
        "k3s",
        "k3s-server",
        "rke2",
        "k0s",
    }
)
ELSEWHERE = "use kind instead (a running Docker), or name a cluster in WHARFINGER_KUBECONFIG"


@dataclass(frozen=True)
class Machine:
    """What matters of a machine before a start."""

    system: str
    is_root: bool
    foreign: tuple[str, ...] = ()
    """Parts of another Kubernetes that run here, such as `kubelet (pid 12)`."""
    taken_ports: tuple[int, ...] = ()
    """Ports of ours that something else listens on."""
    routes: tuple[str, ...] = ()
    """The networks that the machine has routes to, the default route and our own bridge apart."""


@dataclass(frozen=True)
class Refusal:
    """Why the cluster must not start on a machine, and what to do instead."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.remedy}"


def refusal(machine: Machine) -> Refusal | None:
    """The first reason against a start; None where there is none."""
    if machine.system != "Linux":
        return Refusal(f"the local cluster needs Linux, and this is {machine.system}", ELSEWHERE)
    if not machine.is_root:
        return Refusal("the local cluster needs root: its node starts containers and sets up networks", f"run it as root, or {ELSEWHERE}")
    if machine.foreign:
        return Refusal(f"another Kubernetes runs on this machine, {', '.join(machine.foreign)}, and this one would harm it", ELSEWHERE)
    if machine.taken_ports:
        return Refusal(f"something else listens on port {', '.join(map(str, machine.taken_ports))}", f"end it, or {ELSEWHERE}")
    for route in machine.routes:
        for ours in (POD_CIDR, SERVICE_CIDR):
            if ipaddress.ip_network(route, strict=False).overlaps(ipaddress.ip_network(ours)):
                return Refusal(f"the machine's network {route} overlaps with the cluster's {ours}", ELSEWHERE)
    return None


def observe(ours: Iterable[int], *, nothing_of_ours_runs: bool) -> Machine:
    """Look at this machine. Ports and routes count only while nothing of ours runs, for then they are another's."""
    system, is_root = platform.system(), hasattr(os, "geteuid") and os.geteuid() == 0
    if system != "Linux":
        return Machine(system, is_root)
    foreign = _foreign(frozenset(ours))
    if not nothing_of_ours_runs:
        return Machine(system, is_root, foreign)
    taken = tuple(port for port in (*CONTROL_PLANE_PORTS, *NODE_PORTS) if _is_taken(port))
    return Machine(system, is_root, foreign, taken, _routes())


def address() -> str | None:
    """The machine's own IPv4 address: the source of its default route, else any global one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a datagram socket sends nothing here: it only looks up the route
            found = str(probe.getsockname()[0])
            if not ipaddress.ip_address(found).is_loopback:
                return found
        except OSError:
            pass
    for link in _ip("-4", "address", "show", "scope", "global", "up"):
        for entry in link.get("addr_info", ()):
            if "local" in entry:  # iproute2 prints an empty object for each address that the filter left out
                return str(entry["local"])
    return None


def _foreign(ours: frozenset[int]) -> tuple[str, ...]:
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) in ours:
            continue
        try:
            program = Path((folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")).name
        except OSError:
            continue
        if program in KUBERNETES:
            found.append(f"{program} (pid {folder.name})")
    return tuple(sorted(found))


def _is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False


def _routes() -> tuple[str, ...]:
    return tuple(str(r["dst"]) for r in _ip("-4", "route", "show") if r.get("dst") != "default" and r.get("dev") != BRIDGE)


def _ip(*arguments: str) -> list[dict[str, Any]]:
    try:
        done = subprocess.run(["ip", "-j", *arguments], capture_output=True, text=True, check=False)
        return list(json.loads(done.stdout or "[]"))
    except (OSError, ValueError):
        return []
