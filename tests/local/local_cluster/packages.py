"""The Debian packages that the node and the image builds need; installed where root may, after saying so."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from local_cluster.progress import LaunchError, say, step

NODE = {
    "containerd": "/usr/bin/containerd",
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "nftables": "nft",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "iproute2": "ip",
}
IMAGES = {"mmdebstrap": "mmdebstrap", "buildah": "buildah", "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg"}

COMPILER = {"gcc": "gcc", "libc6-dev": "/usr/include/stdio.h"}
"""What tests compile a static program with."""
BROWSER = {"chromium": "chromium", "fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"}
"""What tests look at pages with."""


def missing(wanted: Mapping[str, str], found: Callable[[str], str | None]) -> tuple[str, ...]:
    """The packages whose program (a name on the path, or a file) is not there."""
    return tuple(sorted(package for package, program in wanted.items() if not found(program)))


def find(program: str) -> str | None:
    """Where a program is, on the path or in root's part of it, or a file of that name."""
    if program.startswith("/"):
        return program if Path(program).exists() else None
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def ensure(wanted: Mapping[str, str]) -> None:
    """Install what is missing. Raises LaunchError where this machine's package manager is another, or refuses."""
    absent = missing(wanted, find)
    if not absent:
        return
    if not shutil.which("apt-get"):
        raise LaunchError(
            f"these programs are missing, and there is no apt-get to install them with: {', '.join(wanted[p] for p in absent)}"
        )
    say(f"installing the Debian packages {' '.join(absent)} (apt-get install)")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # --no-remove: where Docker's own containerd.io is installed, apt would put Debian's in its place.
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "--no-remove", *absent]
    with step("apt-get"):
        for command in (["apt-get", "update", "-q"], install):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or missing(wanted, find):
        raise LaunchError(f"{' '.join(install)} failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")
