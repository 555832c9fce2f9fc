"""Who may change the cluster, and who uses it.

* The machine's lock is held while a cluster is being started or ended: a second launcher waits for it, bounded, and says for whom.
* A *use* is a lock that a test session or demo holds as long as it lives. A cluster in use is shared with whoever wants the very same one,
  but never ended or replaced.

Both are flock(2) locks, which the kernel drops with their process; a file left behind means nothing.
"""

import atexit
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from local_cluster.layout import LOCK, REPOSITORY, USERS
from local_cluster.progress import LaunchError, say

WAIT_SECONDS = 300.0
LONGEST_NAME = 80

_held: list[IO[str]] = []


@contextmanager
def machine(doing: str) -> Iterator[None]:
    """Hold the machine's lock. Raises LaunchError where another holds it for longer than WAIT_SECONDS."""
    with LOCK.open("a+") as file:
        deadline = time.monotonic() + WAIT_SECONDS
        told = False
        while not _try(file):
            who = _read(LOCK)
            if time.monotonic() > deadline:
                raise LaunchError(f"{who} has held {LOCK} for more than {WAIT_SECONDS:.0f} s: see whether it hangs")
            if not told:
                say(f"waiting for {who} …")
                told = True
            time.sleep(0.1)
        _write(file, doing)
        yield


def use() -> None:
    """Mark the cluster as in use until this process ends. Calling it again changes nothing."""
    if _held:
        return
    USERS.mkdir(parents=True, exist_ok=True)
    file = (USERS / str(os.getpid())).open("a+")
    if not _try(file):
        raise LaunchError(f"{file.name} is locked by another process")
    _write(file, " ".join(["python", *sys.orig_argv[1:]])[:LONGEST_NAME])
    _held.append(file)
    atexit.register(file.close)


def users() -> tuple[str, ...]:
    """The other processes that use the cluster, in words; files that their processes left behind are removed."""
    found = []
    for path in sorted(USERS.glob("*")):
        if path.name == str(os.getpid()):
            continue
        with path.open("a+") as file:
            if _try(file):
                path.unlink(missing_ok=True)
            else:
                found.append(_read(path))
    return tuple(found)


def _try(file: IO[str]) -> bool:
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(file: IO[str], doing: str) -> None:
    file.truncate(0)
    json.dump({"doing": doing, "pid": os.getpid(), "checkout": str(REPOSITORY)}, file)
    file.flush()


def _read(path: Path) -> str:
    try:
        record = json.loads(path.read_text())
        return f"`{record['doing']}` (pid {record['pid']}, of {record['checkout']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another launcher"
