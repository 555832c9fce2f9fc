"""Ports for programs that must be told theirs before they start."""

import random
import socket

# Below what Linux gives to whom asks for any port (ip_local_port_range), or the program would find its port taken in the meantime;
# above those of the control planes.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on, nor is given to who asks for any."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - spreads, guards nothing
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
