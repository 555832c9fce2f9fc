"""The gateway's process over manifests instead of a cluster: `python gateway_offline.py MANIFESTS`, JSON, one a line; read again at SIGHUP.

Everything but the watch is the real program: event loop, settings from the environment, both listeners, signals, draining, audit.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

from gateway_world import Manifest, current_of, snapshot_of
from wharfinger_gateway.__main__ import loop_factory
from wharfinger_gateway.app import serving, stop_signal
from wharfinger_gateway.settings import Settings


def manifests(path: Path) -> list[Manifest]:
    """Return what a file holds."""
    return [json.loads(line) for line in path.read_text().splitlines()]


async def main(path: Path) -> None:
    """Serve until SIGTERM."""
    settings = Settings.from_environment(os.environ)
    logging.basicConfig(level=settings.log_level, stream=sys.stderr)
    stop = stop_signal()
    current = current_of(manifests(path))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: current.publish(snapshot_of(manifests(path))))
    async with serving(settings, current, stop):
        await stop.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main(Path(sys.argv[1])))
