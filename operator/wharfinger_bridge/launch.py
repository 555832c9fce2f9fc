"""One run of the server's command: start, handshake, serve until it ends or is not wanted any more.

What was learnt of the server's era is kept from one run to the next, for the life of the bridge.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wharfinger_bridge.announcements import Announcements, announced, wanted_filter
from wharfinger_bridge.audience import Everybody, OneCaller
from wharfinger_bridge.child import Child, StartError
from wharfinger_bridge.environment import initial_environment
from wharfinger_bridge.era import Era
from wharfinger_bridge.handshake import Failed, Plan, plan_for_one, plan_handshake, shake_hands
from wharfinger_bridge.jsonrpc import Json
from wharfinger_bridge.log import log
from wharfinger_bridge.peer import Call, Lost, Peer
from wharfinger_bridge.reaper import Reaper
from wharfinger_bridge.translate import ENVELOPE, Server


@dataclass(frozen=True)
class Ready:
    """The server answers."""

    peer: Peer
    server: Server

    @property
    def is_own(self) -> bool:
        """Whether the server is its caller's alone, and of the era of sessions: so it may do all that it can."""
        return self.peer.audience.is_one and self.server.era is Era.LEGACY


@dataclass(frozen=True)
class NotReady:
    """The server does not answer; the reason is one line for people."""

    reason: str


STARTING = NotReady("the server is starting and has not answered server/discover or initialize yet")


class Launcher:
    """Runs one command, as often and as many times at once as it is asked to."""

    def __init__(self, command: Sequence[str], *, probe_patience: float, handshake_timeout: float) -> None:
        self._command = command
        self._environment = initial_environment()
        self._reaper = Reaper()
        self._probe_patience = probe_patience
        self._handshake_timeout = handshake_timeout
        self._era: Era | None = None
        self._frail = False
        self.announcements = Announcements()
        """What any run of the server announces: it says that a list changed and not how, so that it is nobody's secret."""

    async def run(self, ready: Callable[[Ready], None], caller: Json | None = None) -> str:
        """Run the command until it ends, or until cancelled; `ready` hears of its handshake. Return how it ended.

        `caller`: what the one whose server it is can be asked for (MCP client capabilities); None: it is everybody's.
        """
        publish = self.announcements.publish
        peer = Peer(lambda line: child.write(line), Everybody(publish) if caller is None else OneCaller(publish))  # noqa: PLW0108  the child exists only below
        try:
            child = await Child.start(self._command, self._environment, self._reaper, peer.receive)
        except StartError as error:
            return str(error)
        try:
            failed = await self._open(child, peer, ready, self._plan(caller))
            if failed is None:
                await asyncio.wait({child.ended})
        finally:
            how = await child.stop()
            if peer.in_flight:
                log("calls lost with the server", in_flight=peer.in_flight)
            peer.audience.leave()
            peer.settle_all(Lost("ServerExited", f"the server {how} before it answered"))
        return failed or how

    def _plan(self, caller: Json | None) -> Plan:
        if caller is not None:
            return plan_for_one(self._era, caller, patience=self._probe_patience)
        plan = plan_handshake(self._era, frail=self._frail, patience=self._probe_patience)
        if plan.patience is not None:
            log("asking server/discover; a server of an older revision may log an error about it")
        return plan

    async def _open(self, child: Child, peer: Peer, ready: Callable[[Ready], None], plan: Plan) -> str | None:
        """Shake hands with a new process; return why that failed."""
        started = asyncio.get_running_loop().time()
        handshake = asyncio.create_task(shake_hands(peer, plan))
        try:
            await asyncio.wait({handshake, child.ended}, timeout=self._handshake_timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            handshake.cancel()
        if child.ended.done():
            self._frail = self._frail or self._era is None
            return None
        if not handshake.done():
            return f"gave no answer to initialize within {self._handshake_timeout:.0f} s"
        server = handshake.result()
        if isinstance(server, Failed):
            return f"does not speak MCP: {server.reason}"
        self._era = server.era
        ready(Ready(peer, server))
        _subscribe(peer, server)
        ready_after = asyncio.get_running_loop().time() - started
        log("server ready", name=server.info.get("name"), version=server.info.get("version"), protocol=server.version, after_s=ready_after)
        return None


def _subscribe(peer: Peer, server: Server) -> None:
    """Ask a modern server to announce its changes; a legacy one does that unasked."""
    kinds = announced(server.capabilities)
    if server.era is Era.MODERN and kinds:
        params = {"_meta": ENVELOPE, "notifications": wanted_filter(kinds)}
        call = peer.send({"jsonrpc": "2.0", "method": "subscriptions/listen", "params": params})
        if isinstance(call, Call):
            # It lasts as long as the server: nobody waits for its answer.
            peer.settle(call.id, None)
