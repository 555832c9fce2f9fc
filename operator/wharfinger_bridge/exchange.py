"""One call of a caller: whole where the answer comes first, else a stream that ends with it (MCP, streamable HTTP).

- A call ends with its answer, by its caller, or at the end of patience, whichever is first; and once.
- What the server says meanwhile waits, bounded, until it is read.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from wharfinger_bridge import answers
from wharfinger_bridge.era import Era
from wharfinger_bridge.event import event, events
from wharfinger_bridge.http_message import Response
from wharfinger_bridge.jsonrpc import Json, Request
from wharfinger_bridge.peer import Call, Lost
from wharfinger_bridge.translate import PROGRESS, Server, caller_progress


class Exchange:
    """A call that was sent, for whoever waits for its answer."""

    def __init__(self, request: Request, era: Era, server: Server, call: Call, using: AbstractContextManager[None]) -> None:
        self._request = request
        self._era = era
        self._server = server
        self._call = call
        self._held = ExitStack()
        self._held.enter_context(using)

    def at_end(self, undo: Callable[[], object]) -> None:
        """Have something done when the call is over."""
        self._held.callback(undo)

    def bound(self, seconds: float) -> None:
        """Give up after so many seconds."""
        lost = Lost("Timeout", f"no answer within {seconds:.0f} s")
        self.at_end(asyncio.get_running_loop().call_later(seconds, self._call.cancel, lost).cancel)

    async def response(self) -> Response:
        """Return the answer, or the stream that leads to it."""
        try:
            await self._something()
        except BaseException:
            self._leave()
            raise
        is_heard = self._call.said is not None and self._call.said.woken.is_set()
        if self._call.future.done() and not is_heard:
            self._held.close()
            return self._answer()
        return answers.stream(self._events())

    async def _events(self) -> AsyncGenerator[bytes]:
        try:
            while not self._call.future.done():
                for piece in events(self._heard()):
                    yield piece
                await self._something()
            for piece in events(self._heard()):
                yield piece
            yield event(self._answer().body)
        finally:
            self._leave()

    def _heard(self) -> list[Json]:
        """Return what the server has said, as its caller knows the call."""
        said = self._call.said.take() if self._call.said is not None else []
        return [caller_progress(message, self._request) if message.get("method") == PROGRESS else message for message in said]

    async def _something(self) -> None:
        """Wait until the server has answered, or has said something."""
        said = self._call.said
        if said is None:
            await asyncio.wait({self._call.future})
            return
        hearing = asyncio.create_task(said.woken.wait())
        awaited: set[asyncio.Future[Any]] = {self._call.future, hearing}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hearing.cancel()

    def _leave(self) -> None:
        """End with whatever there is; a caller that leaves is only a cancellation where its era says so."""
        if not self._call.future.done():
            self._call.abandon("the caller went away", tell_server=self._era is Era.MODERN)
        self._held.close()

    def _answer(self) -> Response:
        return answers.answered(self._call.future.result(), self._request.method, self._request.id, self._era, self._server)
