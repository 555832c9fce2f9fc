"""A client of the revisions with a handshake (to 2025-11-25), on whatever transport."""

import asyncio
import itertools
from collections.abc import Callable, Mapping

from everything_server import rpc
from everything_server.conversation import LEVELS, Conversation, Question
from everything_server.rpc import INVALID_PARAMS, INVALID_REQUEST, LEGACY, Json, RpcError, Send
from everything_server.surface import INSTRUCTIONS, SERVER_INFO, Surface

CAPABILITIES: Json = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "completions": {},
    "logging": {},
}


class LegacyPeer:
    """One session."""

    def __init__(self, surface: Surface, announce: Send) -> None:
        self.surface = surface
        self.version = LEGACY[0]
        self.capabilities: Json = {}
        self._announce = announce
        """Sends what belongs to no request."""
        self._level = "debug"
        self._watched: set[str] = set()
        self._asked: dict[object, asyncio.Future[Json]] = {}
        self._running: dict[object, asyncio.Task[Json]] = {}
        self._ids = itertools.count(1)
        surface.hearers.add(self)

    def close(self) -> None:
        """End the session, and what it waits for."""
        self.surface.hearers.discard(self)
        for task in self._running.values():
            task.cancel()

    async def changed(self, kind: str) -> None:
        await self._announce(rpc.notification(f"notifications/{kind}/list_changed"))

    async def updated(self, uri: str) -> None:
        if uri in self._watched:
            await self._announce(rpc.notification("notifications/resources/updated", {"uri": uri}))

    def take(self, message: Json) -> None:
        """Take what wants no answer: a notification, or the answer to a question."""
        if message.get("method") == "notifications/cancelled":
            task = self._running.get(message.get("params", {}).get("requestId"))
            if task is not None:
                task.cancel()
        asked = self._asked.pop(message.get("id"), None) if "method" not in message else None
        if asked is not None and not asked.done():
            asked.set_result(message)

    def start(self, message: Json, send: Send, hang_up: Callable[[], None] = lambda: None) -> asyncio.Task[Json]:
        """Begin to answer a request; what is said before the answer goes by `send`. Cancelled, it has no answer."""
        task = asyncio.create_task(self._answer(message, send, hang_up))
        id_ = message["id"]
        self._running[id_] = task
        task.add_done_callback(lambda _: self._running.pop(id_, None))
        return task

    async def _answer(self, message: Json, send: Send, hang_up: Callable[[], None]) -> Json:
        params = message.get("params", {})
        try:
            return rpc.result(message["id"], await self._result(message["method"], params, send, hang_up))
        except RpcError as error:
            return rpc.failure(message["id"], error)

    async def _result(self, method: str, params: Json, send: Send, hang_up: Callable[[], None]) -> Json:
        match method:
            case "initialize":
                return self._initialize(params)
            case "ping":
                return {}
            case "logging/setLevel":
                if params.get("level") not in LEVELS:
                    raise RpcError(INVALID_PARAMS, "no such level")
                self._level = params["level"]
                return {}
            case "resources/subscribe":
                self._watched.add(params["uri"])
                return {}
            case "resources/unsubscribe":
                self._watched.discard(params["uri"])
                return {}
            case _:
                return await self.surface.answer(method, _Talk(self, params, send, hang_up))

    def _initialize(self, params: Json) -> Json:
        self.capabilities = params.get("capabilities", {})
        self.version = params["protocolVersion"] if params.get("protocolVersion") in LEGACY else LEGACY[0]
        said = {"capabilities": CAPABILITIES, "serverInfo": SERVER_INFO, "instructions": INSTRUCTIONS}
        return {"protocolVersion": self.version, **said}

    def talk_level(self) -> str:
        return self._level

    async def put(self, question: Question, send: Send) -> Json:
        """Ask the client; raises RpcError where it refuses."""
        id_ = f"question-{next(self._ids)}"
        answered = self._asked[id_] = asyncio.get_running_loop().create_future()
        try:
            method, params = question
            # What a page is opened for has an id in these revisions.
            await send(rpc.request(id_, method, {**params, "elicitationId": id_} if params.get("mode") == "url" else params))
            answer = await answered
        finally:
            self._asked.pop(id_, None)
        if "error" in answer:
            raise RpcError(answer["error"]["code"], f"the client refused: {answer['error']['message']}")
        value: Json = answer["result"]
        return value


class _Talk(Conversation):
    missing_capability = INVALID_REQUEST

    def __init__(self, peer: LegacyPeer, params: Json, send: Send, hang_up: Callable[[], None]) -> None:
        super().__init__(params, peer.capabilities, peer.talk_level())
        self._peer = peer
        self._send = send
        self._hang_up = hang_up

    async def notify(self, method: str, params: Json) -> None:
        await self._send(rpc.notification(method, params))

    async def put(self, questions: Mapping[str, Question], *, sealed: bool) -> dict[str, Json]:
        answers = await asyncio.gather(*(self._peer.put(question, self._send) for question in questions.values()))
        return dict(zip(questions, answers, strict=True))

    def hang_up(self) -> None:
        self._hang_up()
