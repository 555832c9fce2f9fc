"""The one way by which tests and the demo come to a Kubernetes: what this machine has, in a fixed order.

1. WHARFINGER_KUBECONFIG names a cluster: that one. It must hold the images that it runs; WHARFINGER_IMAGES_PRESENT=1 says so.
2. A Docker engine runs: kind, through pytest-kind. (Written after both projects' documentation; it has not been run.)
3. Linux and root: the local cluster, python -m local_cluster, brought up where it is not.
4. Else none: the value says why, and what would provide one.

`python -m cluster_access [--node] [IMAGE …]` prints the lines that a shell evaluates to use it.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cluster import binaries, images, lifecycle, state
from local_cluster.progress import say

NAMED = "WHARFINGER_KUBECONFIG"
PRESENT = "WHARFINGER_IMAGES_PRESENT"
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
KIND_NAME = "wharfinger"
KIND_VERSION = "v0.32.0"
KIND_IMAGE = "kindest/node:v1.36.1@sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5"
KUBECTL_VERSION = "v1.36.1"


@dataclass(frozen=True)
class Unavailable:
    """Why there is no cluster, and what would provide one."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"


@dataclass(frozen=True)
class ControlPlane:
    """A Kubernetes API with its controllers, and the tools that fit it."""

    kubeconfig: Path
    """An administrator's."""
    kubectl: Path
    helm: Path
    how: str
    """`named`, `kind` or `local`."""


@dataclass(frozen=True)
class Node(ControlPlane):
    """The same with a node that runs pods, and that holds the images asked for."""


def control_plane() -> ControlPlane | Unavailable:
    """A cluster for what needs no pods. Nobody else ends or replaces the local one while this process lives.

    Raises local_cluster.progress.LaunchError where a cluster that this machine can carry does not come up: that is a fault, and no reason to skip.
    """
    return _reach(os.environ, with_node=False)


def node(wanted: Sequence[str] = ()) -> Node | Unavailable:
    """A cluster that runs pods, with these images of `local_cluster.images.catalogue()` built and loaded. Raises as `control_plane` does."""
    if os.environ.get(NAMED) and wanted and os.environ.get(PRESENT) != "1":
        return Unavailable(
            f"images cannot be put into the cluster that {NAMED} names",
            f"make {', '.join(wanted)} available to its nodes and set {PRESENT}=1",
        )
    reached = _reach(os.environ, with_node=True)
    if isinstance(reached, Unavailable):
        return reached
    if wanted and reached.how != "named":
        built = images.build(wanted)
        if reached.how == "local":
            images.load(built)
        else:
            _load_into_kind(built)
    return Node(reached.kubeconfig, reached.kubectl, reached.helm, reached.how)


def has_control_planes_beside() -> bool:
    """Whether there can be several control planes here at the same time: those of the local launcher."""
    return not os.environ.get(NAMED) and not images.docker_runs() and lifecycle.refused() is None


def _reach(environment: Mapping[str, str], *, with_node: bool) -> ControlPlane | Unavailable:
    if named := environment.get(NAMED):
        return _named(Path(named))
    if images.docker_runs():
        return _kind()
    if refusal := lifecycle.refused():
        return Unavailable(refusal.reason, refusal.remedy)
    if state.read() is None and any(environment.get(d) for d in DISPLAYS):
        return Unavailable("this looks like a person's desktop, on which no cluster is started unasked", "`make cluster` asks for it")
    cluster = lifecycle.up(with_node=with_node, in_use=True)
    return ControlPlane(cluster.kubeconfig, cluster.kubectl, binaries.build(binaries.HELM), "local")


def _named(kubeconfig: Path) -> ControlPlane | Unavailable:
    if not kubeconfig.is_file():
        return Unavailable(f"{NAMED} names {kubeconfig}, which is no file", f"correct {NAMED} or unset it")
    kubectl, helm = shutil.which("kubectl"), shutil.which("helm")
    if not kubectl or not helm:
        return Unavailable(
            f"{'helm' if kubectl else 'kubectl'} is not on the path", "install kubectl and Helm for the cluster that you named"
        )
    return ControlPlane(kubeconfig, Path(kubectl), Path(helm), "named")


def _kind() -> ControlPlane:
    cluster = _kind_cluster()
    cluster.create()
    cluster.ensure_kubectl()
    helm = shutil.which("helm")
    kubeconfig, kubectl = Path(cluster.kubeconfig_path), Path(cluster.kubectl_path)
    return ControlPlane(kubeconfig.resolve(), kubectl.resolve(), Path(helm) if helm else binaries.build(binaries.HELM), "kind")


def _kind_cluster() -> Any:
    os.environ.setdefault("KIND_VERSION", KIND_VERSION)
    os.environ.setdefault("KUBECTL_VERSION", KUBECTL_VERSION)
    from pytest_kind import KindCluster  # type: ignore[import-untyped]  # noqa: PLC0415 - it reads the versions when it is imported

    return KindCluster(KIND_NAME, image=KIND_IMAGE)


def _load_into_kind(built: Sequence[images.Image]) -> None:
    program = str(_kind_cluster().kind_path)
    for image in built:
        subprocess.run([program, "load", "image-archive", "--name", KIND_NAME, str(image.archive)], check=True)


def main() -> int:
    """Print how to use the cluster, for a shell."""
    parser = argparse.ArgumentParser(
        prog="python -m cluster_access", description="Prints the lines that a shell evaluates to use the tests' cluster."
    )
    parser.add_argument("--node", action="store_true", help="with a node that runs pods")
    parser.add_argument("image", nargs="*", help="images to build and load; implies --node")
    arguments = parser.parse_args()
    found = node(arguments.image) if arguments.node or arguments.image else control_plane()
    if isinstance(found, Unavailable):
        say(str(found))
        return 1
    sys.stdout.write(f"export KUBECONFIG={found.kubeconfig}\nexport PATH={found.kubectl.parent}:{found.helm.parent}:$PATH\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
