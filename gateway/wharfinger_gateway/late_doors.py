"""The doors beside McpTokens, opened when a gateway first has one: nobody else pays for their libraries and the watch of grants."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from wharfinger_cluster.client import Cluster
from wharfinger_gateway.current import Current
from wharfinger_gateway.telemetry import Telemetry
from wharfinger_oauth.request import Request, Response

if TYPE_CHECKING:
    from wharfinger_gateway.doors import Doors


class LateDoors:
    """Closed until `open`."""

    def __init__(self, cluster: Cluster, namespace: str, current: Current) -> None:
        self._cluster, self._namespace, self._current = cluster, namespace, current
        self._stack = AsyncExitStack()
        self._doors: Doors | None = None

    @property
    def are_open(self) -> bool:
        """Whether they are."""
        return self._doors is not None

    async def answer(self, request: Request) -> Response | None:
        """Answer a request to the authorization server; None where it is none, or there is none yet."""
        return await self._doors.answer(request) if self._doors is not None else None

    async def open(self, telemetry: Telemetry) -> None:
        """Open them; they are open when every grant is known. The root key must be."""
        from wharfinger_gateway.doors import opened  # noqa: PLC0415 - see above

        doors = await self._stack.enter_async_context(opened(self._cluster, self._namespace, self._current))
        watching = asyncio.create_task(doors.grants.informer.run())
        self._stack.callback(watching.cancel)
        await doors.grants.informer.synced.wait()
        telemetry.watch_grants(lambda: len(doors.grants))
        telemetry.registry.register(doors.keys)
        telemetry.registry.register(doors.answers.counter)
        self._doors = doors

    async def close(self) -> None:
        """End what they do."""
        await self._stack.aclose()
