"""What a person sees while something takes its time: lines on standard error, with seconds, for every step over two seconds."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

QUIET_FOR = 2.0
REMIND_EVERY = 60.0


class LaunchError(Exception):
    """Something that the reader can mend: the message says what, where and how. Shown without a traceback."""


def say(text: str) -> None:
    """Write one line to standard error at once."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def step(what: str, expect: str = "") -> Iterator[None]:
    """Announce a step once it has taken two seconds, remind of it every minute, and say how long it took."""
    began = time.monotonic()
    done = threading.Event()

    def remind() -> None:
        if done.wait(QUIET_FOR):
            return
        say(f"{what} … {expect}".rstrip())
        while not done.wait(REMIND_EVERY):
            say(f"{what} … {time.monotonic() - began:.0f} s so far")

    thread = threading.Thread(target=remind, daemon=True)
    thread.start()
    outcome = "failed after"
    try:
        yield
        outcome = "done in"
    finally:
        done.set()
        thread.join()
        took = time.monotonic() - began
        if took > QUIET_FOR:
            say(f"{what}: {outcome} {took:.1f} s")
