"""The programs of the cluster, built from Go modules into the cache. An entry's key is a hash of its sources, flags and Go version."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local_cluster import cache, toolchain
from local_cluster.layout import GO_SOURCES
from local_cluster.progress import LaunchError, step
from local_cluster.toolchain import Go

BUILD_SECONDS = 45 * 60
# No C compiler is needed then, and what is built runs in an empty image.
CGO_OFF = {"CGO_ENABLED": "0"}


@dataclass(frozen=True)
class Program:
    """One Go program: what to build, and how long that takes from nothing."""

    name: str
    package: str = "."
    expect: str = ""
    folder: str = ""
    """Of its module under tests/local/go; omitted: its name."""
    is_test: bool = False
    """A test binary: its package holds tests only."""


KUBE = Program("kube", expect="about 10 min on two cores from nothing, of it 2 min of downloads")
COREDNS = Program("coredns", expect="about 2 min on two cores from nothing")
HELM = Program("helm", "helm.sh/helm/v4/cmd/helm", expect="about 4 min on two cores from nothing")
PAUSE = Program("pause")
STDIO_SERVER = Program("stdio-server")
MCP_LOAD = Program("mcp-load")
POLICY_CASES = Program("network-policy-cases", expect="about 3 min on two cores beside a built Kubernetes", is_test=True)
AGNHOST = Program("agnhost", "k8s.io/kubernetes/test/images/agnhost", "about 3 min on two cores", folder=POLICY_CASES.name)
CILIUM_RULES = Program("cilium-rules", expect="about 2 min on two cores from nothing")


def version_of(module: str, go_mod: str) -> str:
    """The version of a module that a go.mod requires, such as v1.36.3."""
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if not found:
        raise LaunchError(f"go.mod requires no {module}")
    return found[1]


def linker_flags(program: Program, go_mod: str) -> str:
    """The linker's flags. Kubernetes and Helm learn their version from them: unset, every part reports v0.0.0-master."""
    names: dict[str, str] = {}
    if program == KUBE:
        version = version_of("k8s.io/kubernetes", go_mod)
        major, minor, _ = version.removeprefix("v").split(".", 2)
        names = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "archive"}
        names = {f"k8s.io/component-base/version.{name}": value for name, value in names.items()}
    if program == HELM:
        names = {"helm.sh/helm/v4/internal/version.version": version_of("helm.sh/helm/v4", go_mod)}
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in names.items())])


def build(program: Program, go: Go | None = None) -> Path:
    """The program's executable, from the cache or built now."""
    go = go or toolchain.find()
    source = GO_SOURCES / (program.folder or program.name)
    flags = linker_flags(program, (source / "go.mod").read_text())
    entry = cache.key([program.package, flags, repr(CGO_OFF), go.version, *cache.tree(source)])

    def make(target: Path) -> None:
        target.mkdir()
        _go_build(go, source, flags, program, target / program.name)
        if program == KUBE:
            (target / "kubectl").symlink_to("kube")

    return cache.obtain(program.name, entry, make) / program.name


def _go_build(go: Go, source: Path, flags: str, program: Program, target: Path) -> None:
    verb = ("test", "-c") if program.is_test else ("build",)
    command = [str(go.command), *verb, "-buildvcs=false", "-mod=readonly", f"-ldflags={flags}", "-o", str(target), program.package]
    with step(f"building {program.name} from Go modules", program.expect):
        try:
            done = subprocess.run(
                command,
                cwd=source,
                env=go.environment() | CGO_OFF,
                capture_output=True,
                text=True,
                timeout=BUILD_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LaunchError(f"building {program.name} took more than {BUILD_SECONDS // 60} min") from None
    if done.returncode:
        said = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("go: downloading"))
        raise LaunchError(f"{source}: go build failed:\n{said[-3000:]}")
