"""One address for several replicas, as a Service is: each connection goes to the next."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager


@asynccontextmanager
async def tcp_balancer(port: int, backends: Callable[[], Sequence[str]]) -> AsyncIterator[None]:
    """Pass connections to a port of the loopback interface on to backends, `HOST:PORT` each, in turn."""
    turns = itertools.count()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = backends()
        host, _, backend = found[next(turns) % len(found)].rpartition(":")
        try:
            to_reader, to_writer = await asyncio.open_connection(host, int(backend))
        except OSError:
            writer.close()
            return
        both = asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))
        try:
            await both
        finally:
            writer.close()
            to_writer.close()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(accept(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(take, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()
