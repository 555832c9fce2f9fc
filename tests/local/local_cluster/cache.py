"""What is kept between clusters: binaries and images, each in a file or folder whose name ends in a hash of all it was made from.

An entry is complete or absent: it is made under another name and renamed. Of each name the two entries used last are kept.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from local_cluster.progress import LaunchError, say

KEPT = 2
WAIT_SECONDS = 45 * 60


def folder() -> Path:
    """The cache: $WHARFINGER_CACHE, else wharfinger in $XDG_CACHE_HOME or ~/.cache."""
    named = os.environ.get("WHARFINGER_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wharfinger"


def key(parts: Iterable[str | bytes]) -> str:
    """A hash of the parts, in order; each part's length counts, so that moving a boundary changes the key."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()[:16]


def tree(root: Path, skip: Callable[[Path], bool] = lambda _: False) -> Iterable[str | bytes]:
    """The parts of `key` that stand for a file, or for all files below a folder: relative path, executable or not, contents."""
    files = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
    for path in files:
        relative = path.relative_to(root)
        if "__pycache__" in path.parts or skip(relative):
            continue
        yield relative.as_posix()
        yield "x" if path.stat().st_mode & 0o100 else "-"
        yield path.read_bytes()


def obtain(name: str, entry_key: str, make: Callable[[Path], None]) -> Path:
    """The entry of this name and key; `make` is called to write it (file or folder) to the path it is given, where it is missing.

    Two launchers that want the same entry wait for each other. Raises LaunchError where the other takes longer than WAIT_SECONDS.
    """
    root = folder()
    target = root / f"{name}-{entry_key}"
    if not target.exists():
        root.mkdir(parents=True, exist_ok=True)
        with (root / f".{name}.lock").open("a+") as lock:
            _wait(lock.fileno(), name)
            if not target.exists():
                unfinished = root / f".{name}-{entry_key}.unfinished"
                _remove(unfinished)
                try:
                    make(unfinished)
                    unfinished.rename(target)
                finally:
                    _remove(unfinished)
                _prune(root, name)
    os.utime(target)
    return target


def _wait(lock: int, name: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LaunchError(f"another process has been making {name} for {WAIT_SECONDS // 60} min: see whether it hangs") from None
            if not told:
                say(f"waiting for another process that is making {name} …")
                told = True
            time.sleep(0.5)
        else:
            return


def _prune(root: Path, name: str) -> None:
    hex_digits = "[0-9a-f]" * 16
    entries = sorted(root.glob(f"{name}-{hex_digits}"), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in entries[KEPT:]:
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
