"""What the server offers, apart from how it is asked: methods that both eras have, and who is told of changes."""

from typing import Protocol

from everything_server import prompts, resources, tools
from everything_server.conversation import Conversation
from everything_server.rpc import METHOD_NOT_FOUND, Json, RpcError

SERVER_INFO = {"name": "everything", "title": "Everything", "version": "1.0.0"}
INSTRUCTIONS = "Ask for anything."


class Hearer(Protocol):
    """Wants to know what changes."""

    async def changed(self, kind: str) -> None:
        """Hear that the list of a kind has changed."""

    async def updated(self, uri: str) -> None:
        """Hear that a resource has changed."""


class Surface:
    """One server, for all its clients and transports."""

    def __init__(self) -> None:
        self.hearers: set[Hearer] = set()
        self.given_up: list[str] = []
        self._changes = 0

    async def changed(self, kind: str) -> None:
        self._changes += kind == "tools"
        for hearer in tuple(self.hearers):
            await hearer.changed(kind)

    async def updated(self, uri: str) -> None:
        for hearer in tuple(self.hearers):
            await hearer.updated(uri)

    async def answer(self, method: str, talk: Conversation) -> Json:
        """Return the result of a request; raises RpcError."""
        match method:
            case "tools/list":
                return {"tools": tools.definitions(self._changes)}
            case "tools/call":
                return await tools.call(talk, self)
            case "prompts/list":
                return {"prompts": [prompt.definition(name) for name, prompt in prompts.PROMPTS.items()]}
            case "prompts/get":
                return await prompts.get(talk)
            case "resources/list":
                return resources.listed()
            case "resources/templates/list":
                return resources.templates()
            case "resources/read":
                return resources.read(talk.params.get("uri"))
            case "completion/complete":
                return prompts.complete(talk.params)
            case _:
                raise RpcError(METHOD_NOT_FOUND, f"there is no {method}")
