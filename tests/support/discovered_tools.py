"""What the operator does beside a gateway: it hears that a server's tools have changed, asks for them, and has them put in force."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from wharfinger_crds.connection import Connection
from wharfinger_operator.ask_server import ServerAsker

Tools = list[dict[str, Any]]
SECONDS = 10.0


@asynccontextmanager
async def discovered_tools(connections: Mapping[str, Connection], put: Callable[[str, Tools], None]) -> AsyncIterator[None]:
    """Follow servers by name; `put` takes the tools of one whenever it announces a change. A server that announces nothing is not followed."""
    asker = ServerAsker("0.1.0")

    async def follow(name: str, connection: Connection) -> None:
        changed = asyncio.Event()

        async def listen() -> None:
            while await asker.listen(connection, changed.set):
                changed.set()

        listening = asyncio.create_task(listen())
        try:
            while True:
                await changed.wait()
                changed.clear()
                found = (await asker.ask(connection, SECONDS)).definitions
                put(name, json.loads(found.text))
        finally:
            listening.cancel()

    tasks = [asyncio.create_task(follow(*one)) for one in connections.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asker.close()
