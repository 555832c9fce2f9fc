"""`python -m local_cluster`: a real Kubernetes on this machine, without Docker, for tests and for trying things out."""

import argparse
import sys

from local_cluster import binaries, images, lifecycle, process, state, toolchain
from local_cluster.layout import ADMIN_KUBECONFIG, RUN
from local_cluster.progress import LaunchError, say

EXIT_CODES = "exit codes: 0 done, or up and healthy; 1 it could not be done (the reason is printed); 2 wrong usage; 3 no cluster is up; 4 one is up and ails"
NOT_UP, AILS = 3, 4


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main = argparse.ArgumentParser(prog="python -m local_cluster", description=__doc__, epilog=EXIT_CODES)
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the cluster, or share the one that is up", epilog=EXIT_CODES)
    up.add_argument("--control-plane-only", action="store_true", help="API server and controllers, no node: for what needs no pods")
    down = commands.add_parser(
        "down",
        help="end the cluster and control planes beside it, and leave nothing of them; binaries and images stay in the cache",
        epilog=EXIT_CODES,
    )
    down.add_argument("--force", action="store_true", help="even while a test session or demo uses it")
    commands.add_parser("status", help="what runs", epilog=EXIT_CODES)
    commands.add_parser("build", help="build kube (with kubectl), coredns and helm into the cache", epilog=EXIT_CODES)
    images = commands.add_parser(
        "images", help="build the images, all or those named, and load them into the node if one is up", epilog=EXIT_CODES
    )
    images.add_argument("name", nargs="*", help="such as localhost/wharfinger:dev")
    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig", epilog=EXIT_CODES)
    return main


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        match arguments.command:
            case "up":
                return _up(with_node=not arguments.control_plane_only)
            case "down":
                say(lifecycle.down(force=arguments.force))
                return 0
            case "status":
                return _status()
            case "build":
                return _build()
            case "images":
                return _images(arguments.name)
            case _:
                return _kubeconfig()
    except (LaunchError, OSError) as e:
        say(f"local_cluster: {e}")
        return 1
    except KeyboardInterrupt:
        say("local_cluster: interrupted")
        return 130


def _up(*, with_node: bool) -> int:
    cluster = lifecycle.up(with_node=with_node)
    say(f"{'up, with a node' if cluster.has_node else 'up, control plane only'} ({cluster.action.value})")
    sys.stdout.write(f"export KUBECONFIG={cluster.kubeconfig}\nexport PATH={cluster.kubectl.parent}:$PATH\n")
    return 0


def _status() -> int:
    record = state.read()
    if record is None:
        say("no cluster is up" if not RUN.exists() else "a start was cut off: `up` or `down` cleans it away")
        return NOT_UP
    for running in process.recorded():
        sys.stdout.write(f"{running.name:20} pid {running.pid:<8} {'runs' if process.is_alive(running) else 'ended'}\n")
    if wrong := [f for f in lifecycle.faults(record) if f]:
        sys.stdout.write(f"ails: {'; '.join(wrong)}\n")
        return AILS
    sys.stdout.write(f"healthy, {'with a node' if record.node else 'control plane only'}, from {record.checkout}\n")
    return 0


def _build() -> int:
    go = toolchain.find()
    for program in (binaries.KUBE, binaries.COREDNS, binaries.HELM, binaries.CILIUM_RULES):
        sys.stdout.write(f"{binaries.build(program, go)}\n")
    return 0


def _images(names: list[str]) -> int:
    built = images.build(names)
    record = state.read()
    loaded = images.load(built) if record and record.node else ()
    for image in built:
        sys.stdout.write(f"{image.name} {image.archive}{' loaded' if image.name in loaded else ''}\n")
    return 0


def _kubeconfig() -> int:
    if state.read() is None:
        say("no cluster is up: `python -m local_cluster up` starts one")
        return NOT_UP
    sys.stdout.write(f"{ADMIN_KUBECONFIG}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
