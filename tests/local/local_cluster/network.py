"""The node's pod network: kernel settings, the bridge that pods are put on, and the way out."""

import json
import subprocess
from pathlib import Path

from local_cluster import packages
from local_cluster.layout import BRIDGE, CNI, NAT_TABLE, NODE_POD_CIDR, POD_CIDR
from local_cluster.progress import LaunchError
from local_cluster.teardown import SYSCTLS

WANTED = {
    "net/ipv4/ip_forward": "1",
    "net/bridge/bridge-nf-call-iptables": "1",  # else packets between two pods on the bridge pass no rule
}
CHANGED_BY_KUBELET = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
PROC_SYS = Path("/proc/sys")

# One rule rather than the bridge plugin's `ipMasq`, whose chain for each pod stays behind when pods are killed.
NAT = f"""\
table inet {NAT_TABLE} {{
  chain post {{ type nat hook postrouting priority srcnat; ip saddr {POD_CIDR} ip daddr != {POD_CIDR} masquerade; }}
}}
"""


def conflist() -> str:
    """The CNI configuration: every pod on one bridge, addresses from a file beside it."""
    ipam = {"type": "host-local", "dataDir": str(CNI / "leases"), "ranges": [[{"subnet": NODE_POD_CIDR}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": ipam}
    return json.dumps({"cniVersion": "1.0.0", "name": "wharfinger", "plugins": [bridge]}, indent=1)


def prepare() -> None:
    """Set the kernel up for pods, remembering what it was set to, and write the CNI configuration."""
    if modprobe := packages.find("modprobe"):
        subprocess.run([modprobe, "-a", "br_netfilter", "overlay"], capture_output=True, check=False)  # they may be built in
    before = {name: (PROC_SYS / name).read_text().strip() for name in (*WANTED, *CHANGED_BY_KUBELET) if (PROC_SYS / name).exists()}
    if missing := sorted(set(WANTED) - set(before)):
        raise LaunchError(f"this kernel has no /proc/sys/{missing[0]}: load the br_netfilter module (modprobe br_netfilter)")
    if not SYSCTLS.exists():
        SYSCTLS.write_text(json.dumps(before))
    for name, value in WANTED.items():
        try:
            (PROC_SYS / name).write_text(value)
        except OSError as e:
            raise LaunchError(f"/proc/sys/{name} cannot be set ({e.strerror}): in a container, it must be a privileged one") from e
    done = subprocess.run(["nft", "-f", "-"], input=NAT, text=True, capture_output=True, check=False)
    if done.returncode:
        raise LaunchError(f"nft refused the pods' way out: {done.stderr.strip()}")
    (CNI / "net.d").mkdir(parents=True, exist_ok=True)
    (CNI / "net.d" / "10-bridge.conflist").write_text(conflist())
