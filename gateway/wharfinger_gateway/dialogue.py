"""One call whose server may ask its caller something before it answers, in each pair of eras.

| caller | server | what happens                                                                                           |
|--------|--------|--------------------------------------------------------------------------------------------------------|
| legacy | legacy | its request goes to the client on the call's stream, the client's response to the server               |
| legacy | modern | `input_required` becomes requests to the client; the call is repeated with the answers                 |
| modern | legacy | its request becomes `input_required`; the call waits at the server until the client comes back         |
| modern | modern | `input_required` passes through                                                                        |

Invariants: nobody is asked but who made the call, and for nothing that he did not declare. The time that people take counts for itself.
A call is never sent twice to a legacy server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec
from msgspec import Raw

from wharfinger_gateway.asking import (
    MAX_QUESTIONS,
    Asking,
    InputRequest,
    InputRequired,
    declined,
    is_allowed,
    requires_input,
    with_answers,
)
from wharfinger_gateway.link import with_elicitation_id
from wharfinger_gateway.question import Question, Within
from wharfinger_gateway.relay import Relay, is_for_stream
from wharfinger_gateway.sessions import LegacySession
from wharfinger_gateway.unasked import Unasked
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.envelope import Era
from wharfinger_mcp.errors import ProtocolError, TimedOutError, UpstreamError
from wharfinger_mcp.exchange import OnMessage
from wharfinger_mcp.jsonrpc import Id, Notification, Params, Request, Response
from wharfinger_mcp.notification import PROGRESS_TOKEN, cancelled_bytes, cancelled_id
from wharfinger_mcp.upstream import CallLimits, Upstream

ANSWER_SECONDS: Final = 600.0
"""How long an answer of a person is awaited."""
ROUNDS: Final = 10
"""How often one call may ask."""
WHOLE_SECONDS: Final = 3600.0
"""Of one call, people's time included."""


class Going(msgspec.Struct, frozen=True):
    """A call on its way."""

    question: Question
    asking: Asking
    upstream: Upstream
    unasked: Unasked
    method: str
    params: Params
    headers: Mapping[str, str]
    once: Mapping[str, str]
    """Header fields of this call alone."""
    log_level: str | None
    """That a server of the newest era is asked for."""
    relay: Relay
    seconds: float
    """How long the server may take, from its last question on."""

    def __repr__(self) -> str:
        return f"Going({self.method})"

    def send(self, params: Params, take: OnMessage, seconds: float = WHOLE_SECONDS) -> Awaitable[Response]:
        """Make the request with these params; people's time is included in its bound. Raises UpstreamError."""
        return self.upstream.call(self.method, params, self.headers, CallLimits(seconds), take, once=self.once, log_level=self.log_level)


async def call_once(going: Going) -> Response:
    """Make the call of a client that cannot be asked; raises UpstreamError."""

    async def take(message: Request | Notification) -> None:
        if isinstance(message, Notification):
            await going.relay.take(message)
        else:
            await going.upstream.answer(message.id, declined(message), going.headers)

    if not going.unasked.is_listening:
        return await going.send(going.params, take, going.seconds)
    with going.unasked.during(take):
        return await going.send(going.params, take, going.seconds)


async def converse(going: Going) -> Response:
    """Make the call of a legacy client and answer what the server asks; raises UpstreamError."""
    session = await going.unasked.ready(going.headers, CallLimits(going.seconds))
    rules = going.question.rules
    if isinstance(rules, Within):
        rules.state.servers.add(going.unasked)
        going.unasked.on_unclaimed = partial(_say_outside, rules.state)
    try:
        async with asyncio.timeout(going.seconds) as patience:
            asker = _Asker(going, patience)
            try:
                return await (_in_rounds if session.era is Era.MODERN else _on_the_stream)(going, asker)
            finally:
                asker.close()
    except TimeoutError:
        raise TimedOutError("the server did not answer in time") from None


def _say_outside(state: LegacySession, message: Notification) -> None:
    """Tell a client on its own stream what a server says in its session outside of any call."""
    if state.stream is not None and is_for_stream(message, state.heard_level):
        state.stream.say(jsonrpc.notification_bytes(message.method, message.params))


class _LeftError(Exception):
    """Nobody is there to answer."""


class _WithdrawnError(Exception):
    """The server does not want to know any more."""


class _Asker:
    """Asks a legacy client, and stops the clock meanwhile."""

    def __init__(self, going: Going, patience: asyncio.Timeout) -> None:
        self._going = going
        self._patience = patience
        self._awaited: dict[asyncio.Future[Response], tuple[Id | None, str]] = {}
        """Answers, with the server's own id of what it asks, where that has one, and ours."""
        self.close = going.question.channel.on_leave(self._give_up)
        """Ask no more."""

    async def ask(self, method: str, params: Params, id_: Id | None = None) -> Response:
        """Return the client's answer; a refusal where he cannot be asked, does not answer or has left.

        Raises _WithdrawnError where `withdraw` is told of the id.
        """
        rules = self._going.question.rules
        request, capabilities = Request(0, method, params), self._going.asking.capabilities
        refused = declined(request, capabilities)
        if not isinstance(rules, Within) or not is_allowed(request, capabilities):
            return refused
        if len(self._awaited) >= MAX_QUESTIONS:
            return refused
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        request_id = rules.state.await_answer(answer.set_result)
        self._awaited[answer] = id_, request_id
        # Longer than the answer may take: a question that nobody answers is declined, and the call goes on.
        self._let_pass(ANSWER_SECONDS + self._going.seconds)
        params = with_elicitation_id(method, params, request_id)
        if id_ is not None:
            params = self._with_progress(params, rules.state, request_id)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                is_said = await self._going.question.channel.say(jsonrpc.request_bytes(request_id, method, params))
                return await answer if is_said else refused
        except (TimeoutError, _LeftError):
            return refused
        finally:
            rules.state.answers.pop(request_id, None)
            rules.state.progress.pop(request_id, None)
            del self._awaited[answer]
            if not self._awaited:
                self._let_pass(self._going.seconds)

    async def withdraw(self, id_: Id) -> None:
        """Ask no more what the server has asked under this id, and tell the client."""
        for answer, (of_server, of_client) in tuple(self._awaited.items()):
            if of_server == id_ and not answer.done():
                answer.set_exception(_WithdrawnError())
                await self._going.question.channel.say(cancelled_bytes(of_client))

    def _with_progress(self, params: Params, state: LegacySession, token: str) -> Params:
        """Return a question with our progress token, if it has one: what the client says under it is passed on under the server's."""
        meta = jsonrpc.members(params["_meta"]) if "_meta" in params else None
        theirs = meta.get(PROGRESS_TOKEN) if meta else None
        if not meta or theirs is None:
            return params

        def pass_on(message: Notification) -> None:
            self._going.unasked.tell(Notification(message.method, {**message.params, PROGRESS_TOKEN: theirs}))

        state.progress[token] = pass_on
        return {**params, "_meta": jsonrpc.raw_json({**meta, PROGRESS_TOKEN: token})}

    def _give_up(self) -> None:
        for answer in self._awaited:
            if not answer.done():
                answer.set_exception(_LeftError())

    def _let_pass(self, seconds: float) -> None:
        if not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time() + seconds)


async def _on_the_stream(going: Going, asker: _Asker) -> Response:
    asked: set[asyncio.Task[None]] = set()

    async def put(request: Request) -> None:
        with suppress(UpstreamError, _WithdrawnError):
            await going.upstream.answer(request.id, await asker.ask(request.method, request.params, request.id), going.headers)

    async def take(message: Request | Notification) -> None:
        if isinstance(message, Notification):
            withdrawn = cancelled_id(message)
            if withdrawn is not None:
                await asker.withdraw(withdrawn)
            await going.relay.take(message)
        else:
            # Not awaited here: the server may go on talking while the client thinks.
            task = asyncio.create_task(put(message))
            asked.add(task)
            task.add_done_callback(asked.discard)

    try:
        with going.unasked.during(take):
            return await going.send(going.params, take)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _in_rounds(going: Going, asker: _Asker) -> Response:
    params = going.params
    for _ in range(ROUNDS):
        response = await going.send(params, going.relay.take)
        wanted = requires_input(response)
        if wanted is None:
            return response
        answers = await _asked(wanted, asker)
        params = with_answers(going.params, answers, wanted.request_state)
    raise ProtocolError(f"the server asks more than {ROUNDS} times")


async def _asked(wanted: InputRequired, asker: _Asker) -> Mapping[str, Raw]:
    async def one(request: InputRequest) -> Raw:
        response = await asker.ask(request.method, request.params)
        if response.result is None:
            raise ProtocolError(f"the caller does not answer {request.method}")
        return jsonrpc.raw_json(response.result)

    if len(wanted.input_requests) > MAX_QUESTIONS:
        raise ProtocolError(f"the server asks for more than {MAX_QUESTIONS} things at once")
    try:
        async with asyncio.TaskGroup() as group:
            asked = {key: group.create_task(one(request)) for key, request in wanted.input_requests.items()}
    except* UpstreamError as errors:
        raise errors.exceptions[0] from None
    return {key: task.result() for key, task in asked.items()}
