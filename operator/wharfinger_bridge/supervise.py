"""Keep the server running: start, handshake, serve until it ends, wait, start again.

- The bridge outlives its server; `state` says at any moment whether calls can be made, and if not, why.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from typing import Final

from wharfinger_bridge.jsonrpc import Json
from wharfinger_bridge.launch import STARTING, Launcher, NotReady, Ready
from wharfinger_bridge.log import log

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
RAN_WELL = 60.0
"""Seconds of readiness after which earlier failures no longer count."""


def pause_before_start(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16))


def failure_reason(how: str, failures: int) -> str:
    """Return why there is no server, after so many failures in a row; no count, since whoever reports it would report it anew each time."""
    return f"the server {how}" if failures == 1 else f"the server {how}, again and again"


class Supervisor:
    """Keeps one server for all callers for as long as `run` is not cancelled."""

    sessions: Final = False
    """Whether callers have servers of their own."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self.state: Ready | NotReady = STARTING

    async def run(self) -> None:
        """Keep the server running until cancelled; then end it."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            how = await self._launcher.run(self._become)
            ran = loop.time() - started
            failures = 1 if isinstance(self.state, Ready) and ran >= RAN_WELL else failures + 1
            self._become(NotReady(failure_reason(how, failures)))
            pause = pause_before_start(failures)
            log(f"server {how}", ran_s=ran, restart_in_s=pause)
            await asyncio.sleep(pause)

    def find(self, _: str) -> Ready | NotReady:
        """Return the one server, whatever the session."""
        return self.state

    async def open(self, _: Json) -> tuple[str, Ready] | NotReady:
        """Return an id that only tells callers with equal request ids apart, should one of them cancel; any other one would do as well."""
        return self.state if isinstance(self.state, NotReady) else (os.urandom(16).hex(), self.state)

    @contextlib.contextmanager
    def using(self, _: str) -> Iterator[None]:
        """Nothing ends for want of use."""
        yield

    def end(self, _: str) -> bool:
        """Let a session go that was none."""
        return True

    def _become(self, state: Ready | NotReady) -> None:
        self.state = state
        if isinstance(state, Ready):
            self._launcher.announcements.publish_all()
