"""How a container starts the bridge: paths and the command line that the operator writes into pods. Pure.

    init container   the project's image: `install_command()` copies the prebuilt folder from `IMAGE_PATH` to `MOUNT_PATH`
    server container any image: `bridge_command(…)` as its `command`, no `args`; `MOUNT_PATH` read-only, the token's Secret at `TOKEN_MOUNT_PATH`

No shell, no environment variable and no file of the server's image is needed or read, and the server inherits the container's own
environment, working directory and standard error.
"""

from collections.abc import Sequence
from typing import Final, TypedDict, Unpack

MOUNT_PATH: Final = "/bridge"
"""Where the emptyDir with the bridge's runtime is mounted, in both containers."""
IMAGE_PATH: Final = "/opt/wharfinger/bridge"
"""Where the project's image keeps that folder, built by `python -m wharfinger_bridge.runtime`."""
TOKEN_MOUNT_PATH: Final = "/bridge-auth"  # noqa: S105  a path
TOKEN_KEY: Final = "token"  # noqa: S105  a file name
"""Key of the token in its Secret: the file holds one accepted token a line, at most four."""
PORT: Final = 8080
"""Serves `/mcp`, `/readyz` and `/livez`."""

LOADER: Final = "lib/ld.so"
LIBRARIES: Final = "lib"
PYTHON: Final = "bin/python3"


def install_command() -> list[str]:
    """Return the command of the init container."""
    return ["python", "-m", "wharfinger_bridge.install", MOUNT_PATH]


def python_command(root: str) -> list[str]:
    """Return the command of the interpreter in a runtime folder.

    The loader is named because the image's own may be another or none, and may not look in its cache; `-I -S -X utf8` keep the image's
    `PYTHON*` variables, site packages and locale out.
    """
    loader = [f"{root}/{LOADER}", "--inhibit-cache", "--library-path", f"{root}/{LIBRARIES}"]
    return [*loader, f"{root}/{PYTHON}", "-I", "-S", "-X", "utf8"]


class BridgeSettings(TypedDict, total=False):
    """Settings of the bridge, times in seconds; None, or nothing, stands for the bridge's own default."""

    call_timeout: int | None
    handshake_timeout: int | None
    grace: int | None
    max_sessions: int | None
    """With it, each session has a server of its own."""
    idle_timeout: int | None
    """After so long without a call a session ends."""


def bridge_command(command: Sequence[str], *, port: int = PORT, **settings: Unpack[BridgeSettings]) -> list[str]:
    """Return the command of a server container whose stdio server is `command`.

    The pod's terminationGracePeriodSeconds has to be `grace` (20 by default) and 6 more. Raises ValueError without a command.
    """
    if not command:
        raise ValueError("a stdio server needs a command")
    return [
        *python_command(MOUNT_PATH),
        *("-m", "wharfinger_bridge", "--listen", f"[::]:{port}", "--token-file", f"{TOKEN_MOUNT_PATH}/{TOKEN_KEY}"),
        *(word for name, value in settings.items() if value is not None for word in (f"--{name.replace('_', '-')}", str(value))),
        *("--", *command),
    ]
