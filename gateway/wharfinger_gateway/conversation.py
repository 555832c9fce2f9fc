"""A call of a modern client to a legacy server: it waits there, longer than any one request of the client, while people answer.

Invariants: a conversation belongs to who began it; its handle is unguessable and goes out in a sealed state only. It is taken by one
request at a time. One that nobody comes back to ends after `ANSWER_SECONDS`, and the server is told. Their number is bounded, in all and for each
caller.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Final

from msgspec import Raw

from wharfinger_gateway.asking import MAX_QUESTIONS, answered, declined, is_allowed
from wharfinger_gateway.dialogue import ANSWER_SECONDS, Going
from wharfinger_gateway.pool import Pool
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.relay import Relay
from wharfinger_mcp.errors import TimedOutError, UpstreamError
from wharfinger_mcp.jsonrpc import Id, Notification, Request, Response
from wharfinger_mcp.notification import cancelled_id

MAX_CONVERSATIONS: Final = 1000
MAX_UNHEARD: Final = 256
"""Messages that are kept while nobody listens; a server that says more is held up."""
_TOGETHER_SECONDS: Final = 0.05
"""How long after a question another one still goes to the client with it: a server that asks several things at once sends them so."""


class Conversation:
    """One call that is under way at a server. Belongs to one event loop."""

    def __init__(self, going: Going, on_end: Callable[[Conversation], None]) -> None:
        self._going = going
        self._heard: asyncio.Queue[Request | Notification | Response | UpstreamError] = asyncio.Queue(MAX_UNHEARD)
        self._open: dict[str, Request] = {}
        self._asked = 0
        self._in_use = ExitStack()
        self._in_use.enter_context(going.unasked.in_use())
        self._task = asyncio.create_task(self._call())
        self._in_use.callback(on_end, self)
        self._task.add_done_callback(lambda _: self._in_use.close())

    @property
    def caller(self) -> str:
        """Whose it is."""
        return self._going.question.permit.principal.subject

    @property
    def progress_token(self) -> int | None:
        """What the server names in its progress messages."""
        return self._going.relay.token

    async def go_on(self, relay: Relay) -> Response | Mapping[str, Request]:
        """Return the response, or what the server asks, by key; raises UpstreamError. What is said meanwhile goes to `relay`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + (_TOGETHER_SECONDS if self._open else self._going.seconds)
        while True:
            try:
                async with asyncio.timeout_at(until):
                    heard = await self._heard.get()
            except TimeoutError:
                if self._open:
                    return dict(self._open)
                self.cancel()
                raise TimedOutError("the server did not answer in time") from None
            match heard:
                case Notification():
                    self._withdraw(cancelled_id(heard))
                    await relay.take(heard)
                    if not self._open:
                        until = loop.time() + self._going.seconds
                case Request():
                    if not self._open:
                        until = loop.time() + _TOGETHER_SECONDS
                    self._open[f"question-{heard.id}"] = heard
                case Response():
                    return heard
                case _:
                    raise heard

    async def answer(self, answers: Mapping[str, Raw]) -> None:
        """Tell the server what the client has answered; what he has not stays open. Raises UpstreamError."""
        for key in self._open.keys() & answers.keys():
            request = self._open.pop(key)
            self._asked -= 1
            await self._going.upstream.answer(request.id, answered(request, answers[key]), self._going.headers)

    def _withdraw(self, id_: Id | None) -> None:
        if self._open.pop(f"question-{id_}", None) is not None:
            self._asked -= 1

    def cancel(self) -> None:
        """End the call; the server is told."""
        self._task.cancel()

    async def _call(self) -> None:
        going = self._going
        try:
            with going.unasked.during(self._take):
                response = await going.send(going.params, self._take)
        except UpstreamError as error:
            await self._heard.put(error)
        else:
            await self._heard.put(response)

    async def _take(self, message: Request | Notification) -> None:
        going = self._going
        if isinstance(message, Request):
            if not is_allowed(message, going.asking.capabilities) or self._asked >= MAX_QUESTIONS:
                with suppress(UpstreamError):
                    await going.upstream.answer(message.id, declined(message, going.asking.capabilities), going.headers)
                return
            self._asked += 1
        await self._heard.put(message)


class Conversations:
    """Those of this replica, and which of their clients are to come back."""

    def __init__(self, replica: str = "") -> None:
        self.replica = replica
        """This one, as states name it."""
        self._parked: Pool[str, tuple[Conversation, asyncio.TimerHandle]] = Pool(MAX_CONVERSATIONS)
        """By caller and handle."""
        self._under_way: set[Conversation] = set()

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, going: Going) -> Conversation:
        """Begin a call."""
        conversation = Conversation(going, self._under_way.discard)
        self._under_way.add(conversation)
        return conversation

    def park(self, conversation: Conversation) -> str | Refusal:
        """Keep a conversation and return its handle; where there are too many, end it and return their refusal."""
        if len(self._parked) >= self._parked.whole or self._parked.held_by(conversation.caller) >= self._parked.share:
            conversation.cancel()
            return Refusal(Reason.QUESTIONS_EXCEEDED)
        handle = secrets.token_urlsafe(24)
        timer = asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._expire, conversation.caller, handle)
        self._parked.put(conversation.caller, handle, (conversation, timer))
        return handle

    def take(self, caller: str, handle: str) -> Conversation | None:
        """Return a conversation to go on with; None where it has ended or is taken."""
        conversation, timer = self._parked.take(caller, handle) or (None, None)
        if timer is not None:
            timer.cancel()
        return conversation

    def close(self) -> None:
        """End every one."""
        for caller, handle, _ in tuple(self._parked):
            self._expire(caller, handle)

    def _expire(self, caller: str, handle: str) -> None:
        conversation = self.take(caller, handle)
        if conversation is not None:
            conversation.cancel()
