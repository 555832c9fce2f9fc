"""Clients that want to hear when a resource changes: resources/subscribe, and what subscriptions/listen asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from wharfinger_gateway.asking import asking
from wharfinger_gateway.feature import owner_of_resource
from wharfinger_gateway.forward import Servers
from wharfinger_gateway.question import Question, Within
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.resolve import resolve
from wharfinger_gateway.watched import Tell
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.errors import UpstreamError
from wharfinger_mcp.jsonrpc import Request

MAX_SUBSCRIPTIONS: Final = 64
"""Of one session, or one request."""

Undo = Callable[[], None]
_ending: set[asyncio.Task[None]] = set()


async def subscribe(question: Question, request: Request, servers: Servers) -> Refusal | None:
    """Carry out a legacy client's `resources/subscribe` or `resources/unsubscribe`; return why not."""
    uri = jsonrpc.text_member(request.params, "uri")
    if uri is None or not isinstance(question.rules, Within):
        return Refusal(Reason.PARAMS_INVALID, detail="uri must be a string")
    state = question.rules.state
    if request.method == "resources/unsubscribe":
        undo = state.subscriptions.pop(uri, None)
        if undo is not None:
            undo()
        return None
    if uri in state.subscriptions:
        return None
    if len(state.subscriptions) >= MAX_SUBSCRIPTIONS:
        return Refusal(Reason.PARAMS_INVALID, detail=f"a session has at most {MAX_SUBSCRIPTIONS} subscriptions")
    watching = await watch(uri, state.tell_updated, question, servers)
    if isinstance(watching, Refusal):
        return watching
    state.subscriptions[uri] = watching
    return None


async def watch(uri: str, tell: Tell, question: Question, servers: Servers) -> Undo | Refusal:
    """Have a resource watched, and return what ends that; or why it cannot be."""
    owner = await owner_of_resource(uri, question, servers)
    if isinstance(owner, Refusal):
        return owner
    choice = resolve(question.permit, owner)
    if isinstance(choice, Refusal):
        return choice
    try:
        server = servers.upstreams.of(choice.installation, question.permit.principal, asking(question))
        await server.watched.watch(uri, tell, server.headers)
    except UpstreamError:
        return Refusal(Reason.UPSTREAM_FAILED)
    return partial(_in_background, server.watched.unwatch, uri, tell, server.headers)


def _in_background(work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
    task = asyncio.create_task(work(*arguments))
    _ending.add(task)
    task.add_done_callback(_ending.discard)
