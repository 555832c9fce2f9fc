"""The official Python SDK of the older line, in an environment of its own: made once into the cache, by the lock file in tests/wire."""

import subprocess
import sys
from pathlib import Path

from local_cluster import cache

CLIENTS = Path(__file__).parents[1] / "wire/clients"
LOCK = CLIENTS / "python_1.lock"


def run_older_sdk(*arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run `clients/python_1.py` to its end."""
    folder = cache.obtain("sdk1", cache.key([LOCK.read_bytes(), sys.version]), _install)
    command = [str(folder / "bin/python"), str(CLIENTS / "python_1.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, env={})


def _install(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    options = ("-q", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK))
    done = subprocess.run([str(folder / "bin/python"), "-m", "pip", "install", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pip install failed:\n{done.stderr[-2000:]}")
