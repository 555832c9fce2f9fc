"""The same over stdin and stdout, one message a line: a request says itself of which era it is."""

import asyncio
import json
import sys

from everything_server import modern
from everything_server.legacy import LegacyPeer
from everything_server.rpc import Json, is_modern
from everything_server.surface import Surface

_LINE_BYTES = 16 * 1024 * 1024


async def serve() -> None:
    """Serve until stdin ends."""
    surface = Surface()
    reader = asyncio.StreamReader(_LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    peer = LegacyPeer(surface, _write)
    running: dict[object, asyncio.Task[Json]] = {}
    carriers: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        message = json.loads(line)
        if "method" not in message or "id" not in message:
            peer.take(message)
            if message.get("method") == "notifications/cancelled" and (task := running.get(message["params"].get("requestId"))):
                task.cancel()
            continue
        task = asyncio.create_task(modern.answer(surface, message, _write)) if is_modern(message, None) else peer.start(message, _write)
        running[message["id"]] = task
        carrier = asyncio.create_task(_carry(task))
        carriers.add(carrier)
        carrier.add_done_callback(carriers.discard)
    peer.close()


async def _carry(task: asyncio.Task[Json]) -> None:
    await asyncio.wait((task,))
    if not task.cancelled():
        await _write(task.result())


async def _write(message: Json) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
