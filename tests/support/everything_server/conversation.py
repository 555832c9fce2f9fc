"""What a tool or a prompt can do with the client that called it, whatever its era."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping

from everything_server.rpc import MISSING_CAPABILITY, Json, RpcError

Question = tuple[str, Json]
"""Method and params of what a client is asked."""

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
_CAPABILITY = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}


class Conversation(ABC):
    """One request, seen by who carries it out."""

    missing_capability = MISSING_CAPABILITY
    """The code for what a client cannot be asked."""

    def __init__(self, params: Json, capabilities: Json, level: str | None) -> None:
        self.params = params
        self.capabilities = capabilities
        """Of the client."""
        self._level = level

    @abstractmethod
    async def notify(self, method: str, params: Json) -> None:
        """Say something before the answer."""

    @abstractmethod
    async def put(self, questions: Mapping[str, Question], *, sealed: bool) -> dict[str, Json]:
        """Return the answers to questions that the client can be asked; what a modern client has not answered yet ends the request."""

    @abstractmethod
    def hang_up(self) -> None:
        """Close the stream without the answer, where the transport has a way back to it."""

    async def ask(self, questions: Mapping[str, Question], *, sealed: bool = True) -> dict[str, Json]:
        """Return the answers. `sealed`: a modern client is given a state to bring back. Raises RpcError for what a client cannot be asked."""
        for method, _ in questions.values():
            self.need(_CAPABILITY[method])
        return await self.put(questions, sealed=sealed)

    def can_be_asked(self, question: Question) -> bool:
        return _CAPABILITY[question[0]] in self.capabilities

    def need(self, capability: str) -> None:
        """Raise RpcError unless the client has the capability."""
        if capability not in self.capabilities:
            raise RpcError(self.missing_capability, f"the client lacks {capability}", {"requiredCapabilities": {capability: {}}})

    async def log(self, text: str, level: str = "info") -> None:
        if self._level is not None and LEVELS.index(level) >= LEVELS.index(self._level):
            await self.notify("notifications/message", {"level": level, "logger": "everything", "data": text})

    async def progress(self, done: int, total: int) -> None:
        token = self.params.get("_meta", {}).get("progressToken")
        if token is not None:
            await self.notify("notifications/progress", {"progressToken": token, "progress": done, "total": total})

    async def pause(self) -> None:
        """Let a client see that what comes next comes later."""
        await asyncio.sleep(0.05)
