"""Finding out which era a server speaks, at each of its starts (MCP 2026-07-28, versioning).

    nothing known    server/discover; initialize too after an error, or when no answer came for a while
    frail or legacy  initialize; server/discover only after an error
    modern           server/discover; initialize only after an error
    of one caller    initialize, unless it is known to be modern; server/discover too after an error, or when no answer came for a while

The first good answer decides, however late it comes: a slow start is no refusal.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from wharfinger_bridge.era import LEGACY_VERSIONS, Era
from wharfinger_bridge.jsonrpc import Json
from wharfinger_bridge.log import log
from wharfinger_bridge.peer import Call, Lost, Outcome, Peer, Unsent
from wharfinger_bridge.translate import CLIENT_INFO, ENVELOPE, Server, discovered_server, initialized_server


@dataclass(frozen=True)
class Question:
    """A request that opens a conversation, and how to read its result."""

    method: str
    params: Json
    read: Callable[[Any], Server | None]


DISCOVER: Final = Question("server/discover", {"_meta": ENVELOPE}, discovered_server)


def initialize(capabilities: Json) -> Question:
    """Return the handshake of the older revisions, for callers who can be asked for that."""
    params = {"protocolVersion": LEGACY_VERSIONS[0], "capabilities": capabilities, "clientInfo": CLIENT_INFO}
    return Question("initialize", params, initialized_server)


INITIALIZE: Final = initialize({})


@dataclass(frozen=True)
class Plan:
    """Which question comes first, and for how many seconds it stands alone; None: until it is answered."""

    questions: tuple[Question, ...]
    patience: float | None


@dataclass(frozen=True)
class Failed:
    """No question got a good answer; the reason is for people."""

    reason: str


def plan_handshake(era: Era | None, *, frail: bool, patience: float) -> Plan:
    """Return the order of questions for what is known of a server; a frail one has ended when it was asked `server/discover`."""
    if era is Era.MODERN:
        return Plan((DISCOVER, INITIALIZE), None)
    if era is Era.LEGACY or frail:
        return Plan((INITIALIZE, DISCOVER), None)
    return Plan((DISCOVER, INITIALIZE), patience)


def plan_for_one(era: Era | None, capabilities: Json, *, patience: float) -> Plan:
    """Return the order of questions to a server of one caller, whose session is of the older revisions."""
    questions = (initialize(capabilities), DISCOVER)
    return Plan(questions[::-1], None) if era is Era.MODERN else Plan(questions, None if era is Era.LEGACY else patience)


async def shake_hands(peer: Peer, plan: Plan) -> Server | Failed:
    """Return what the server says of itself; ends when every question is answered or lost."""
    waiting: dict[Call, Question] = {}
    faults: list[str] = []
    try:
        for question in plan.questions:
            call = peer.send({"jsonrpc": "2.0", "method": question.method, "params": question.params})
            if isinstance(call, Unsent):
                faults.append(f"{question.method}: {call.message}")
                continue
            waiting[call] = question
            server = await _first_good(waiting, faults, None if question is plan.questions[-1] else plan.patience)
            if server is not None:
                if server.era is Era.LEGACY:
                    peer.notify("notifications/initialized", {})
                return server
    finally:
        for call in waiting:
            peer.settle(call.id, None)
    return Failed("; ".join(faults))


async def _first_good(waiting: dict[Call, Question], faults: list[str], patience: float | None) -> Server | None:
    deadline = None if patience is None else asyncio.get_running_loop().time() + patience
    while waiting:
        left = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
        done, _ = await asyncio.wait({call.future for call in waiting}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return None
        for call in [call for call in waiting if call.future in done]:
            question = waiting.pop(call)
            answer = call.future.result()
            server = None if isinstance(answer, Lost) else question.read(answer.get("result"))
            if server is not None:
                return server
            faults.append(f"{question.method}: {_fault(question.method, answer)}")
    return None


def _fault(method: str, answer: Outcome) -> str:
    """Return what is wrong with an answer; the server's own words go to its log alone, for they may hold what a probe must not see."""
    if isinstance(answer, Lost):
        return answer.message
    error = answer.get("error")
    if not isinstance(error, dict):
        return "an answer that names no known protocol version"
    log("server refused", method=method, code=error.get("code"), message=error.get("message"))
    code = error.get("code")
    return f"error {code}" if isinstance(code, int) else "an error without a code"
