"""A server a session: started by `initialize`, ended by DELETE, by want of use, or by itself.

- One start proves at the beginning that the server speaks MCP; that process is kept as the spare that the first session gets.
- At most `most` processes exist at any moment, the spare and those that are ending included; who comes then is asked to come again.
- Sessions are of the legacy era. A modern request (2026-07-28) names no session, so nothing would tell whose server is meant: modern
  callers are refused, in the way of a server that knows only older revisions, and go on with `initialize`.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from typing import Final

from wharfinger_bridge.jsonrpc import Json
from wharfinger_bridge.launch import STARTING, Launcher, NotReady, Ready
from wharfinger_bridge.log import log
from wharfinger_bridge.supervise import failure_reason, pause_before_start


class Session:
    """One process and what is known of its use."""

    def __init__(self, launcher: Launcher, caller: Json) -> None:
        self.opened: asyncio.Future[Ready | NotReady] = asyncio.get_running_loop().create_future()
        self.calls = 0
        self.idle: asyncio.TimerHandle | None = None
        self._ending = False
        self.task = asyncio.create_task(self._run(launcher, caller))

    async def _run(self, launcher: Launcher, caller: Json) -> str:
        try:
            how = await launcher.run(self._open, caller)
        finally:
            self._open(NotReady("the server was ended"))
        return how

    def _open(self, state: Ready | NotReady) -> None:
        if not self.opened.done():
            self.opened.set_result(state)

    async def state(self) -> Ready | NotReady:
        """Return how the start went."""
        await asyncio.wait({self.opened})
        return self.opened.result()

    def end(self) -> None:
        """End the process; its calls are lost."""
        if self.idle is not None:
            self.idle.cancel()
        # Cancelled twice, the task would leave its process to itself.
        if not self._ending:
            self._ending = True
            self.task.cancel()


class Sessions:
    """Keeps a server for each session for as long as `run` is not cancelled."""

    sessions: Final = True

    def __init__(self, launcher: Launcher, *, most: int, idle_timeout: float) -> None:
        self._launcher = launcher
        self._most = most
        self._idle_timeout = idle_timeout
        self._running: set[Session] = set()
        self._open: dict[str, Session] = {}
        self._spare: Session | None = None
        self.state: Ready | NotReady = STARTING

    async def run(self) -> None:
        """Prove that the server speaks MCP, then serve until cancelled; then end every process."""
        try:
            await self._prove()
            await asyncio.get_running_loop().create_future()
        finally:
            for session in self._running:
                session.end()
            if self._running:
                await asyncio.wait({session.task for session in self._running})

    async def open(self, caller: Json) -> tuple[str, Ready] | NotReady:
        """Return id and server of a new session, or why there is none; nobody knows the session of a caller that leaves meanwhile.

        `caller`: what it can be asked for.
        """
        if isinstance(self.state, NotReady):
            return self.state
        session = await self._spared(caller)
        if session is None and len(self._running) >= self._most:
            return NotReady(f"{self._most} sessions are open")
        session = session or self._start(caller)
        if session.idle is not None:
            session.idle.cancel()
        try:
            state = await session.state()
        except asyncio.CancelledError:
            session.end()
            raise
        if isinstance(state, NotReady):
            return state
        id_ = os.urandom(16).hex()
        self._open[id_] = session
        session.task.add_done_callback(lambda _: self._open.pop(id_, None))
        self._rest(session, id_)
        log("session opened", open=len(self._open))
        return id_, state

    async def _spared(self, caller: Json) -> Session | None:
        """Return the spare, if there is one and will do; one in the way of a caller who can be asked more than it was told is ended."""
        spare = self._spare
        if spare is None or (caller and len(self._running) < self._most):
            return None
        self._spare = None
        if not caller:
            return spare
        spare.end()
        await asyncio.wait({spare.task})
        return None

    def find(self, id_: str) -> Ready | NotReady | None:
        """Return the server of a session; None: there is no such session, or no longer."""
        session = self._open.get(id_)
        return session.opened.result() if session is not None else None

    @contextlib.contextmanager
    def using(self, id_: str) -> Iterator[None]:
        """Keep a session from ending for want of use."""
        session = self._open[id_]
        session.calls += 1
        if session.idle is not None:
            session.idle.cancel()
        try:
            yield
        finally:
            session.calls -= 1
            if session.calls == 0 and self._open.get(id_) is session:
                self._rest(session, id_)

    def end(self, id_: str) -> bool:
        """End a session; False where there is none."""
        session = self._open.pop(id_, None)
        if session is None:
            return False
        session.end()
        log("session ended", open=len(self._open))
        return True

    async def _prove(self) -> None:
        failures = 0
        while True:
            session = self._start({})
            state = await session.state()
            if isinstance(state, Ready):
                self.state, self._spare = state, session
                session.idle = asyncio.get_running_loop().call_later(self._idle_timeout, session.end)
                return
            failures += 1
            how = await session.task
            self.state = NotReady(failure_reason(how, failures))
            pause = pause_before_start(failures)
            log(f"server {how}", restart_in_s=pause)
            await asyncio.sleep(pause)

    def _start(self, caller: Json) -> Session:
        session = Session(self._launcher, caller)
        self._running.add(session)
        session.task.add_done_callback(lambda task: self._stopped(session, task))
        return session

    def _stopped(self, session: Session, task: asyncio.Task[str]) -> None:
        self._running.discard(session)
        if session.idle is not None:
            session.idle.cancel()
        if self._spare is session:
            self._spare = None
        log("server of a session ended" if task.cancelled() else f"server {task.result()}", running=len(self._running))

    def _rest(self, session: Session, id_: str) -> None:
        session.idle = asyncio.get_running_loop().call_later(self._idle_timeout, self.end, id_)
