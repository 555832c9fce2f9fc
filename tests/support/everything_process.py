"""The server that has everything, as a process."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SUPPORT = Path(__file__).parent
STDIO = (sys.executable, "-m", "everything_server", "stdio")
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SUPPORT)}


@contextlib.contextmanager
def everything_server(address: str) -> Iterator[str]:
    """Give the base URL of a running server; its paths are `/mcp` for both eras, `/legacy`, `/modern`, `/apart` and `/sse`."""
    command = (sys.executable, "-m", "everything_server", "http", address)
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://{address}:{int(process.stdout.readline())}"
        finally:
            process.kill()
