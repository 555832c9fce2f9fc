"""A port of this machine that leads to a Service of the cluster."""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from quickstart.progress import DemoError


@contextlib.contextmanager
def forwarded(kubectl: Path, kubeconfig: Path, namespace: str, target: str, port: int) -> Iterator[int]:
    """Give a free local port that `kubectl port-forward` leads to the target's port. Raises DemoError."""
    command = [str(kubectl), "--kubeconfig", str(kubeconfig), "port-forward", "-n", namespace, target, f":{port}", "--address", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as forwarding:
        try:
            line = forwarding.stdout.readline() if forwarding.stdout else ""
            match = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", line)
            if match is None:
                raise DemoError(f"kubectl port-forward {target}: {line.strip() or 'ended without a word'}")
            yield int(match[1])
        finally:
            forwarding.terminate()
