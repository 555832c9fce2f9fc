"""Ports for programs that must be told theirs before they start."""

import itertools
import os
import random
import socket

# Below what Linux gives to whom asks for any port (ip_local_port_range), or the program would find its port taken in the meantime; above those
# of the control planes; and of the workers of one run each has its own, since between the choice and the start nobody holds a port.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw-1").removeprefix("gw")) + 1
_EACH = 2_000
_PORTS = range(20_000 + _EACH * (_WORKER % 6), 20_000 + _EACH * (_WORKER % 6 + 1))
_turns = itertools.count(random.randrange(_EACH))  # noqa: S311 - spreads, guards nothing


def free_port() -> int:
    """Return a port that nobody listens on, nor is given soon to anybody else."""
    while True:
        port = _PORTS[next(_turns) % _EACH]
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("0.0.0.0", port))  # noqa: S104 - it is not listened on
            except OSError:
                continue
        return port
