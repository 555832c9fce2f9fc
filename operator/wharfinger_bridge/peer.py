"""JSON-RPC with one running server: own ids out, answers back to whoever asked, the server's own messages answered or dropped.

- Ids are integers never used before in the life of this process, whatever the callers' ids are.
- Every call ends, in an answer or in a `Lost`; a call is written at most once.
- What a server says of the progress of a call goes to that call alone, by the token that it was given.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from wharfinger_bridge.audience import Audience
from wharfinger_bridge.jsonrpc import METHOD_NOT_FOUND, Json, Reply, decode, encode, error_body
from wharfinger_bridge.lines import Oversized
from wharfinger_bridge.log import log
from wharfinger_bridge.said import Said
from wharfinger_bridge.translate import PROGRESS, tracked

_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Lost:
    """A call without an answer. Its effect is unknown, so it must not be repeated."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """A call that never reached the server."""

    message: str


Outcome = Json | Lost


class Peer:
    """Calls in flight at one run of the server. `write` takes one line and tells whether it was taken.

    `audience` hears what it says beside its answers and the progress of calls.
    """

    def __init__(self, write: Callable[[bytes], bool], audience: Audience) -> None:
        self._write = write
        self.audience = audience
        self._calls: dict[int, Call] = {}

    @property
    def in_flight(self) -> int:
        """Number of calls that wait for their answer."""
        return len(self._calls)

    def send(self, message: Json, said: Said | None = None, *, is_tracked: bool = False) -> "Call | Unsent":
        """Send a request under an id of its own; `said` takes what the server says meanwhile, of its progress where that `is_tracked`."""
        id_ = next(_ids)
        if is_tracked:
            message = tracked(message, id_)
        try:
            line = encode(message | {"id": id_})
        except ValueError:
            return Unsent("the request holds a number that JSON has no form for")
        if not self._write(line):
            return Unsent("the server does not read its input")
        call = self._calls[id_] = Call(self, id_, asyncio.get_running_loop().create_future(), said)
        return call

    def notify(self, method: str, params: Json) -> None:
        """Send a notification; one that cannot be written is not worth waiting for."""
        self._write(encode({"jsonrpc": "2.0", "method": method, "params": params}))

    def answer(self, reply: Reply) -> None:
        """Give the server the answer to its question, if it waits for one."""
        if self.audience.has_answered(reply.id):
            with suppress(ValueError):
                self._write(encode(reply.message))

    def settle(self, id_: int, outcome: Outcome | None) -> None:
        """End a call with its outcome, or forget it with None; an id that is not in flight is nobody's."""
        call = self._calls.pop(id_, None)
        if call is not None and not call.future.done() and outcome is not None:
            call.future.set_result(outcome)

    def settle_all(self, lost: Lost) -> None:
        """End every call in flight alike."""
        for id_ in tuple(self._calls):
            self.settle(id_, lost)

    def receive(self, line: bytes | Oversized) -> None:
        """Take one line that the server printed."""
        if isinstance(line, Oversized):
            log("server's line is too long and was dropped", bytes=line.size)
            if (id_ := line.request_id()) is not None:
                self.settle(id_, Lost("AnswerTooLarge", f"the server's answer of {line.size} bytes is over the limit"))
            return
        try:
            value = decode(line, lenient=True)
        except ValueError:
            value = None
        if isinstance(value, dict):
            self._receive_message(value)
        elif isinstance(value, list):
            for message in value:
                if isinstance(message, dict):
                    self._receive_message(message)
        elif line.strip():
            log("server printed a line that is not JSON-RPC", line=line[:1024].decode("utf-8", "replace").rstrip())

    def _receive_message(self, message: Json) -> None:
        id_, method = message.get("id"), message.get("method")
        if method is None:
            if type(id_) is int:
                self.settle(id_, message)
        elif isinstance(id_, int | str) and not isinstance(id_, bool):
            if method == "ping" or not self.audience.ask(id_, message, self._heard()):
                self._write(_local_answer(method, id_))
        elif id_ is None and method == PROGRESS:
            self._progress(message)
        elif id_ is None and isinstance(method, str):
            self.audience.tell(message, self._heard())

    def _heard(self) -> Sequence[Said]:
        return [call.said for call in self._calls.values() if call.said is not None]

    def _progress(self, message: Json) -> None:
        params = message.get("params")
        token = params.get("progressToken") if isinstance(params, dict) else None
        call = self._calls.get(token) if type(token) is int else None
        if call is not None and call.said is not None:
            call.said.add(message)


@dataclass(frozen=True, slots=True)
class Call:
    """One call in flight."""

    peer: Peer
    id: int
    future: asyncio.Future[Outcome]
    said: Said | None
    """What the server says before its answer; None where nobody would hear it."""

    def abandon(self, reason: str, *, tell_server: bool) -> None:
        """Drop the answer whenever it comes; the server hears of it only where that means cancellation."""
        log("call abandoned", id=self.id, reason=reason)
        self.peer.settle(self.id, None)
        if tell_server:
            self.peer.notify("notifications/cancelled", {"requestId": self.id, "reason": reason})

    def cancel(self, lost: Lost) -> None:
        """End the call now and tell the server that nobody waits for it."""
        log("call ended without its answer", id=self.id, reason=lost.reason)
        self.peer.settle(self.id, lost)
        self.peer.notify("notifications/cancelled", {"requestId": self.id, "reason": lost.message})


def _local_answer(method: Any, id_: Any) -> bytes:
    """Return the answer to a request of the server's own that nobody else answers."""
    if method == "ping":
        return encode({"jsonrpc": "2.0", "id": id_, "result": {}})
    return error_body(METHOD_NOT_FOUND, "nobody can be asked for that", id_)
