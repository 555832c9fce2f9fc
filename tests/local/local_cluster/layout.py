"""Where the cluster's state lies and which addresses it uses.

All of it is machine-wide, whichever checkout the launcher was started from: ports, links, nft tables and cgroups can be had only once, so
there is one run folder and one lock. Everything under RUN goes when the cluster goes; what is worth keeping lies in the cache.
"""

from pathlib import Path

RUN = Path("/var/lib/wharfinger-local")
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

LOCK = Path("/run/lock/wharfinger-local.lock")
USERS = Path("/run/lock/wharfinger-local.users")

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
API_PORT = 6443
ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
CONTROL_PLANE_PORTS = (API_PORT, ETCD_PORT, ETCD_PEER_PORT, 10257, 10259)
DNS_PROXY_PORT = 5399
NODE_PORTS = (10248, 10249, 10250, 10256, DNS_PROXY_PORT)

PRIVATE_FOLDERS = ("/run/netns", "/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")
"""Where kubelet, containerd and the network plugins write whatever they are told; the node's own mount namespace has empty ones there."""

MARKER = "WHARFINGER_LOCAL_CLUSTER"
"""Environment variable of every process of the cluster: by it a process is known as ours, with or without a pid file."""


def kubeconfig(who: str) -> Path:
    """Where the kubeconfig of one client lies."""
    return RUN / f"{who}.kubeconfig"
