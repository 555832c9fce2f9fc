"""Ask servers for their tools: one task an installation, at most a few at a time, again and again with jitter, and at once when
a server announces a change.

Invariants: a failure keeps what was known; the first failure after a change is not reported, since a Service's address
answers about a second after its pod is ready. Results live in memory and in the stored definitions, nowhere else. A program
that begins does not ask all servers at once what is known of them.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.connection import Connection
from wharfinger_crds.installation import ServerInfo
from wharfinger_crds.tool_definitions import Definitions
from wharfinger_operator.listen import Listeners
from wharfinger_operator.plan.installation import fingerprint
from wharfinger_operator.world import Discovery

AT_ONCE: Final = 16
RETRY_BASE: Final = 1.0
RETRY_CAP: Final = 60.0
QUIET_FAILURES: Final = 3
SOON: Final = 0.5
"""Seconds within which most servers answer: for so long nobody needs to be told that the answer is not known yet."""
KNOWN_A_SECOND: Final = 20
"""How many servers are asked anew in a second when the program begins, of those of which it is known what they offer: it has all of them to
look at first, and so many questions at a time are a load for what is behind them."""
OVERTIME: Final = 5.0
"""Seconds that a whole question may take beyond the bound of each of its parts."""
SETTLE: Final = 0.5
"""Seconds after an announcement until the question: several changes in a row are one. Doubled by each that follows soon."""
CALM: Final = 60.0
"""Seconds without an announcement after which the next one is the first again."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """Which server to ask, and how often; seconds."""

    connection: Connection
    revision: int
    """Generation of the workload: another one may have other tools."""
    interval: float
    timeout: float

    @cached_property
    def fingerprint(self) -> str:
        """What makes it the same question."""
        return fingerprint(self.connection, self.revision)


@dataclass(frozen=True)
class Answer:
    """What a server said: its tools as stored, and itself."""

    definitions: Definitions
    server: ServerInfo
    reason: str = c.SUCCEEDED
    message: str = ""
    """What is remarkable of it, for the condition."""
    announces: bool = False
    """The server says that it tells when its lists change."""


class DiscoveryError(Exception):
    """A server could not be asked; the message says why and what to look at, and holds no credential."""

    def __init__(self, message: str, reason: str = c.DISCOVERY_FAILED) -> None:
        super().__init__(message)
        self.reason = reason


Ask = Callable[[Connection, float], Awaitable[Answer]]
"""Asks one server within so many seconds. Raises DiscoveryError."""


@dataclass
class _Conversation:
    question: Question
    task: asyncio.Task[None] | None = None
    result: Discovery | None = field(default=None, repr=False)
    announced: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    soon: asyncio.TimerHandle | None = None
    """Runs while the first answer to the question is expected at any moment."""
    withheld: bool = False
    """Something was not reported because of that."""
    unhurried: bool = False
    """The first question has not been asked yet, and may wait."""


def settling(row: int) -> float:
    """Return how long an announcement waits to be asked about, after so many that came soon after each other."""
    return SETTLE * 2.0 ** min(row, 16)


class Discoverer:
    """Keeps asking."""

    def __init__(
        self,
        ask: Ask,
        on_result: Callable[[str, str], None],
        listeners: Listeners | None = None,
        observe: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._observe = observe
        self._ask_server = ask
        self._listeners = listeners
        self._on_result = on_result
        self._conversations: dict[tuple[str, str], _Conversation] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._next_turn = 0.0

    def result(self, namespace: str, name: str) -> Discovery | None:
        """Return what is known of an installation's server since this program started."""
        conversation = self._conversations.get((namespace, name))
        return conversation.result if conversation else None

    def knows(self, namespace: str, name: str) -> bool:
        """Tell whether the installation was asked about."""
        return (namespace, name) in self._conversations

    def withholds(self, namespace: str, name: str) -> bool:
        """Tell whether a report had better wait for an answer that is expected at any moment: with it, or without it after SOON, the
        installation is looked at again."""
        conversation = self._conversations.get((namespace, name))
        if conversation is None or conversation.soon is None:
            return False
        conversation.withheld = True
        return True

    def definitions(self) -> frozenset[str]:
        """Return the names of the ConfigMaps that current results stand in."""
        found = (conversation.result for conversation in self._conversations.values())
        return frozenset(names.tools_name(r.definitions.hash) for r in found if r and r.definitions is not None)

    def ask(self, question: Question, *, known: bool = False) -> None:
        """Keep asking this, from now on; the same question again changes nothing. `known`: it was answered before this program began, so the
        first time does not hurry."""
        key = (question.connection.namespace, question.connection.name)
        conversation, unhurried = self._conversations.get(key), False
        if conversation is None:
            conversation, unhurried = self._conversations.setdefault(key, _Conversation(question)), known
        elif conversation.task is not None and conversation.question.fingerprint == question.fingerprint:
            conversation.question = question
            if known or not conversation.unhurried:
                return
        self._stop(key, conversation)
        conversation.question, conversation.unhurried = question, unhurried
        if not unhurried:
            conversation.soon = asyncio.get_running_loop().call_later(SOON, self._is_late, key, conversation)
        conversation.task = asyncio.create_task(self._keep_asking(key, conversation))

    def pause(self, namespace: str, name: str) -> None:
        """Stop asking while the server is not there; what is known stays known."""
        if conversation := self._conversations.get((namespace, name)):
            self._stop((namespace, name), conversation)

    def forget(self, namespace: str, name: str) -> None:
        """Stop asking for good."""
        if conversation := self._conversations.pop((namespace, name), None):
            self._stop((namespace, name), conversation)

    async def close(self) -> None:
        """Stop all tasks and wait for them."""
        for conversation in self._conversations.values():
            self._end_withholding(conversation)
        tasks = [conversation.task for conversation in self._conversations.values() if conversation.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listeners is not None:
            await self._listeners.close()

    def _stop(self, key: tuple[str, str], conversation: _Conversation) -> None:
        if self._listeners is not None:
            self._listeners.drop(key)
        self._end_withholding(conversation)
        if conversation.task is not None:
            conversation.task.cancel()
            conversation.task = None

    def _is_late(self, key: tuple[str, str], conversation: _Conversation) -> None:
        if self._end_withholding(conversation):
            self._on_result(*key)

    def _end_withholding(self, conversation: _Conversation) -> bool:
        """Let reports be made again; tell whether one was not."""
        if conversation.soon is not None:
            conversation.soon.cancel()
        withheld, conversation.soon, conversation.withheld = conversation.withheld, None, False
        return withheld

    async def _keep_asking(self, key: tuple[str, str], conversation: _Conversation) -> None:
        if conversation.unhurried:
            await asyncio.sleep(self._turn())
            conversation.unhurried = False
        failures = announcements = 0
        while True:
            question = conversation.question
            result = await self._once(question, key, conversation)
            self._observe(result.reason)
            failures = failures + 1 if result.definitions is None else 0
            if failures == 0 or failures >= QUIET_FAILURES:
                withheld, changed = self._end_withholding(conversation), result != conversation.result
                conversation.result = result
                if changed or withheld:
                    self._on_result(*key)
            pause = min(RETRY_BASE * 2 ** (failures - 1), RETRY_CAP) if failures else question.interval
            pause *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
            announcements = await self._rest(conversation, pause, announcements)

    def _turn(self) -> float:
        """Return the seconds until the next of those who do not hurry is asked."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next_turn)
        self._next_turn = turn + 1 / KNOWN_A_SECOND
        return turn - now

    async def _rest(self, conversation: _Conversation, pause: float, announcements: int) -> int:
        """Wait until the next question is due, or until a change was announced and has settled; return how many came in a row."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(pause):
                await conversation.announced.wait()
        except TimeoutError:
            return announcements
        row = 0 if clock() - began >= CALM else announcements
        await asyncio.sleep(min(settling(row), max(0.0, began + pause - clock())))
        conversation.announced.clear()
        return row + 1

    async def _once(self, question: Question, key: tuple[str, str], conversation: _Conversation) -> Discovery:
        asked = question.fingerprint
        try:
            async with self._slots, asyncio.timeout(question.timeout + OVERTIME):
                answer = await self._ask_server(question.connection, question.timeout)
        except DiscoveryError as error:
            return Discovery(asked, reason=error.reason, message=str(error))
        except TimeoutError:
            return Discovery(asked, reason=c.DISCOVERY_FAILED, message=f"the server gave no list of tools within {question.timeout:g} s")
        except Exception:  # noqa: BLE001 - a server's answer that we cannot digest must not end the asking
            _log.exception("asking the server of %s/%s failed", question.connection.namespace, question.connection.name)
            return Discovery(asked, reason=c.DISCOVERY_FAILED, message="the server's answer could not be read: see the operator's log")
        if answer.announces and self._listeners is not None:
            self._listeners.follow(key, question.connection, asked, conversation.announced.set)
        return Discovery(asked, answer.definitions, answer.server, answer.reason, answer.message)
