"""Where the cluster's state lies and which addresses it uses.

All of it is machine-wide, whichever checkout the launcher was started from: links, nft tables and cgroups can be had only once, so there is
one cluster with a node. Control planes beside it, numbered from one by the environment, have a run folder, a lock and ports of their own.
Everything under RUN goes when the cluster goes; what is worth keeping lies in the cache.
"""

import os
from pathlib import Path

NUMBER = "WHARFINGER_LOCAL_NUMBER"
"""Environment variable: 0 or unset for the machine's cluster, else which control plane beside it, at most MOST."""
BESIDE = int(os.environ.get(NUMBER) or 0)
MOST = 9
_OWN = f"-{BESIDE}" if BESIDE else ""
_PORTS = 200 * BESIDE

RUN = Path(f"/var/lib/wharfinger-local{_OWN}")
STATE = RUN / "state.json"
PKI = RUN / "pki"
PIDS = RUN / "pids"
LOGS = RUN / "log"
CONTAINERD = RUN / "containerd"
CONTAINERD_SOCKET = CONTAINERD / "containerd.sock"
CNI = RUN / "cni"
KUBELET = RUN / "kubelet"
POD_LOGS = RUN / "pod-logs"
ADMIN_KUBECONFIG = RUN / "admin.kubeconfig"

LOCK = Path(f"/run/lock/wharfinger-local{_OWN}.lock")
USERS = Path(f"/run/lock/wharfinger-local{_OWN}.users")

HERE = Path(__file__).parent
LOCAL = HERE.parent
"""tests/local of the checkout that this launcher belongs to."""
REPOSITORY = LOCAL.parent.parent
GO_SOURCES = LOCAL / "go"
MANIFESTS = LOCAL / "manifests"

NODE = "node1"
NODE_COMPONENTS = ("containerd", "kubelet", "proxy", "policy-engine")
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_IP = "10.96.0.10"
POD_CIDR = "10.244.0.0/16"
NODE_POD_CIDR = "10.244.0.0/24"
CLUSTER_DOMAIN = "cluster.local"
BRIDGE = "wharfinger0"
NAT_TABLE = "wharfinger_nat"
POLICY_TABLE = "wharfinger_policy"
API_PORT = 6443 + _PORTS
ETCD_PORT = 2379 + _PORTS
ETCD_PEER_PORT = 2380 + _PORTS
CONTROLLERS_PORT = 10257 + _PORTS
SCHEDULER_PORT = 10259 + _PORTS
CONTROL_PLANE_PORTS = (API_PORT, ETCD_PORT, ETCD_PEER_PORT, CONTROLLERS_PORT, SCHEDULER_PORT)
DNS_PROXY_PORT = 5399
NODE_PORTS = () if BESIDE else (10248, 10249, 10250, 10256, DNS_PROXY_PORT)

PRIVATE_FOLDERS = ("/run/netns", "/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")
"""Where kubelet, containerd and the network plugins write whatever they are told; the node's own mount namespace has empty ones there."""

MARKER = f"WHARFINGER_LOCAL_CLUSTER{_OWN}"
"""Environment variable of every process of the cluster: by it a process is known as ours, with or without a pid file."""


def kubeconfig(who: str) -> Path:
    """Where the kubeconfig of one client lies."""
    return RUN / f"{who}.kubeconfig"


def numbers_beside() -> tuple[str, ...]:
    """The control planes beside the machine's cluster of which anything is there."""
    return tuple(str(n) for n in range(1, MOST + 1) if Path(f"{RUN}-{n}").exists())
