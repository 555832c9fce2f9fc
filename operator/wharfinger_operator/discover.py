"""Ask servers for their tools: one task an installation, at most a few at a time, again and again with jitter.

Invariants: a failure keeps what was known; the first failure after a change is not reported, since a Service's address
answers about a second after its pod is ready. Results live in memory and in the stored definitions, nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.connection import Connection
from wharfinger_crds.installation import ServerInfo
from wharfinger_crds.tool_definitions import definitions_hash
from wharfinger_operator.plan.installation import fingerprint
from wharfinger_operator.world import Discovery

AT_ONCE: Final = 16
RETRY_BASE: Final = 1.0
RETRY_CAP: Final = 60.0
QUIET_FAILURES: Final = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """Which server to ask, and how often; seconds."""

    connection: Connection
    revision: int
    """Generation of the workload: another one may have other tools."""
    interval: float
    timeout: float

    @property
    def fingerprint(self) -> str:
        """What makes it the same question."""
        return fingerprint(self.connection, self.revision)


@dataclass(frozen=True)
class Answer:
    """What a server said: its tools as stored, and itself."""

    definitions: str
    server: ServerInfo


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


class Discoverer:
    """Keeps asking."""

    def __init__(self, ask: Ask, on_result: Callable[[str, str], None]) -> None:
        self._ask_server = ask
        self._on_result = on_result
        self._conversations: dict[tuple[str, str], _Conversation] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def result(self, namespace: str, name: str) -> Discovery | None:
        """Return what is known of an installation's server since this program started."""
        conversation = self._conversations.get((namespace, name))
        return conversation.result if conversation else None

    def knows(self, namespace: str, name: str) -> bool:
        """Tell whether the installation was asked about."""
        return (namespace, name) in self._conversations

    def definitions(self) -> frozenset[str]:
        """Return the names of the ConfigMaps that current results stand in."""
        found = (conversation.result for conversation in self._conversations.values())
        return frozenset(names.tools_name(definitions_hash(r.definitions)) for r in found if r and r.definitions is not None)

    def ask(self, question: Question) -> None:
        """Keep asking this, from now on; the same question again changes nothing."""
        key = (question.connection.namespace, question.connection.name)
        conversation = self._conversations.get(key)
        if conversation is None:
            conversation = self._conversations[key] = _Conversation(question)
        elif conversation.task is not None and conversation.question.fingerprint == question.fingerprint:
            conversation.question = question
            return
        self._stop(conversation)
        conversation.question = question
        conversation.task = asyncio.create_task(self._keep_asking(key, conversation))

    def pause(self, namespace: str, name: str) -> None:
        """Stop asking while the server is not there; what is known stays known."""
        if conversation := self._conversations.get((namespace, name)):
            self._stop(conversation)

    def forget(self, namespace: str, name: str) -> None:
        """Stop asking for good."""
        if conversation := self._conversations.pop((namespace, name), None):
            self._stop(conversation)

    async def close(self) -> None:
        """Stop all tasks and wait for them."""
        tasks = [conversation.task for conversation in self._conversations.values() if conversation.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    def _stop(conversation: _Conversation) -> None:
        if conversation.task is not None:
            conversation.task.cancel()
            conversation.task = None

    async def _keep_asking(self, key: tuple[str, str], conversation: _Conversation) -> None:
        failures = 0
        while True:
            question = conversation.question
            result = await self._once(question)
            failures = failures + 1 if result.definitions is None else 0
            if (failures == 0 or failures >= QUIET_FAILURES) and result != conversation.result:
                conversation.result = result
                self._on_result(*key)
            pause = min(RETRY_BASE * 2 ** (failures - 1), RETRY_CAP) if failures else question.interval
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, guards nothing

    async def _once(self, question: Question) -> Discovery:
        asked = question.fingerprint
        try:
            async with self._slots, asyncio.timeout(question.timeout + 5):
                answer = await self._ask_server(question.connection, question.timeout)
        except DiscoveryError as error:
            return Discovery(asked, reason=error.reason, message=str(error))
        except TimeoutError:
            return Discovery(asked, reason=c.DISCOVERY_FAILED, message=f"the server gave no list of tools within {question.timeout:g} s")
        except Exception:  # noqa: BLE001 - a server's answer that we cannot digest must not end the asking
            _log.exception("asking the server of %s/%s failed", question.connection.namespace, question.connection.name)
            return Discovery(asked, reason=c.DISCOVERY_FAILED, message="the server's answer could not be read: see the operator's log")
        # Installations of one entry mostly have the same definitions, which can be a megabyte: they are kept once.
        return Discovery(asked, sys.intern(answer.definitions), answer.server)
