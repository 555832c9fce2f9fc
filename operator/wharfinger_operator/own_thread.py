"""Work on a thread with an event loop of its own, awaited from another loop.

Invariants: what runs there takes no signals and sees no task but its own; a thread that does not end keeps no process alive.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Final

import uvloop

GRACE: Final = 1.0
"""Seconds that what must end is waited for, before it is left alone."""


async def on_own_thread(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    """Await the work, and the end of whatever tasks it leaves behind; raises what it raises. Cancelled, it is cancelled there."""
    stop: Future[None] = Future()
    outcome: Future[None] = Future()
    over: Future[None] = Future()

    def run() -> None:
        try:
            uvloop.run(_work(work, stop, outcome))
        finally:
            if not outcome.done():
                outcome.set_exception(RuntimeError(f"the event loop of the thread {name} ended"))
            over.set_result(None)

    threading.Thread(target=run, name=name, daemon=True).start()
    worked, ended = asyncio.wrap_future(outcome), asyncio.wrap_future(over)
    try:
        await asyncio.wait({worked})
    except asyncio.CancelledError:
        stop.set_result(None)
        raise
    finally:
        await asyncio.wait({ended}, timeout=GRACE)
    worked.result()


async def _work(work: Callable[[], Coroutine[Any, Any, None]], stop: Future[None], outcome: Future[None]) -> None:
    working = asyncio.create_task(work())
    await asyncio.wait({working, asyncio.wrap_future(stop)}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        working.cancel()
        await asyncio.wait({working}, timeout=GRACE)
    if not working.done() or working.cancelled():
        outcome.set_result(None)
    elif error := working.exception():
        outcome.set_exception(error)
    else:
        outcome.set_result(None)
