"""containerd: its settings, and images put into its store.

It runs in a mount namespace of its own, whose mounts are shared among the node's processes (volumes must reach containers) and never seen
outside: when the last of them ends, all mounts of pods are gone.
"""

import subprocess
from pathlib import Path

from local_cluster.layout import CNI, CONTAINERD, CONTAINERD_SOCKET, PRIVATE_FOLDERS
from local_cluster.process import Component
from local_cluster.progress import LaunchError, step

PAUSE_IMAGE = "localhost/wharfinger-pause:1"
CTR = ("/usr/bin/ctr", "--address", str(CONTAINERD_SOCKET), "--namespace", "k8s.io")
# The shim must be of the same build as containerd: Debian's first, whatever else the path holds.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
IN_PRIVATE = f"""\
mount --make-rshared /
for folder in {" ".join(PRIVATE_FOLDERS)}; do mkdir -p $folder && mount -t tmpfs tmpfs $folder || exit; done
exec "$@"
"""
PRIVATE_MOUNTS = ("unshare", "--mount", "--propagation", "slave", "sh", "-euc", IN_PRIVATE, "sh")

CONFIG = f"""\
version = 2
root = "{CONTAINERD}/root"
state = "{CONTAINERD}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{CONTAINERD}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true  # root in a container may lack CAP_SYS_RESOURCE: then runc cannot lower the score
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{CNI}/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    BinaryName = "/usr/sbin/runc"
    Root = "{CONTAINERD}/runc"
    SystemdCgroup = false
"""


def component() -> Component:
    """The daemon; its configuration must have been written."""
    return Component("containerd", (*PRIVATE_MOUNTS, "/usr/bin/containerd", "--config", str(CONTAINERD / "config.toml")), (("PATH", PATH),))


def write_config() -> None:
    """Write the daemon's configuration."""
    CONTAINERD.mkdir(parents=True, exist_ok=True)
    (CONTAINERD / "config.toml").write_text(CONFIG)


def is_ready() -> bool:
    """Whether the daemon answers."""
    return subprocess.run([*CTR, "version"], capture_output=True, check=False).returncode == 0


def images() -> frozenset[str]:
    """The names of the images in the store."""
    done = subprocess.run([*CTR, "images", "ls", "-q"], capture_output=True, text=True, check=False)
    return frozenset(done.stdout.split())


def load(archive: Path) -> None:
    """Put an image archive (OCI, or docker-archive) into the store under the name that it carries."""
    with step(f"importing {archive.name}"):
        done = subprocess.run([*CTR, "images", "import", str(archive)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LaunchError(f"{archive} could not be imported: {done.stderr.strip()[-1000:]}")
