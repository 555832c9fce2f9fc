"""The environment that the container was given, for the server to inherit."""

import os
from pathlib import Path

_INITIAL = Path("/proc/self/environ")


def initial_environment() -> dict[bytes, bytes]:
    """Return the environment this process was started with.

    `os.environ` may already differ: in a C locale the interpreter exports LC_CTYPE for itself (PEP 538). Without /proc it has to do.
    """
    try:
        pairs = _INITIAL.read_bytes().split(b"\0")
    except OSError:
        return dict(os.environb)
    return {name: value for name, equals, value in (pair.partition(b"=") for pair in pairs) if equals}
