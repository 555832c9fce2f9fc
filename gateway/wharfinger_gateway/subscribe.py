"""Clients that want to hear when a resource changes: resources/subscribe, and what subscriptions/listen asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, NamedTuple

from wharfinger_gateway.asking import listening_by
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.feature import owner_of_resource
from wharfinger_gateway.forward import Servers
from wharfinger_gateway.question import Question, Rules, Within
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.resolve import Choice, resolve
from wharfinger_gateway.selection import RESOURCES
from wharfinger_gateway.snapshot import Assignment
from wharfinger_gateway.upstreams import Reached, Upstreams
from wharfinger_gateway.watched import Tell
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.errors import UpstreamError
from wharfinger_mcp.jsonrpc import Request

MAX_SUBSCRIPTIONS: Final = 64
"""Of one session, or one request."""

_under_way: set[asyncio.Task[None]] = set()


class Client(NamedTuple):
    """Who is told."""

    tell: Tell
    untold: dict[str, None]
    """URIs of which he is still to be told."""


class Subscription:
    """One resource that a client is told of. Belongs to one event loop; `end` it.

    It follows what the client may: where the connection to its server has changed, it is watched there anew, and of what he may not read any
    more he hears nothing.
    """

    def __init__(self, uri: str, client: Client, owner: Assignment, rules: Rules, upstreams: Upstreams) -> None:
        self._uri = uri
        self._client = client
        self._owner = owner
        self._asking = listening_by(rules)
        self._upstreams = upstreams
        self._at: Reached | None = None

    async def begin(self, permit: Permit) -> Refusal | None:
        """Have the resource watched; return why it cannot be."""
        choice = resolve(permit, self._owner)
        if isinstance(choice, Refusal):
            return choice
        try:
            server = self._upstreams.of(choice.installation, permit.principal, self._asking)
            await server.watched.watch(self._uri, self._client.tell, server.headers)
        except UpstreamError:
            return Refusal(Reason.UPSTREAM_FAILED)
        self._at = server
        return None

    def look(self, permit: Permit) -> None:
        """Follow what the client may now."""
        server = self._server(permit)
        if server is None:
            self._client.untold.pop(self._uri, None)
        if server is self._at:
            return
        self.end()
        if server is not None:
            self._at = server
            _in_background(self._return(server))

    def end(self) -> None:
        """Tell no more."""
        if self._at is not None:
            _in_background(self._at.watched.unwatch(self._uri, self._client.tell, self._at.headers))
            self._at = None

    def _server(self, permit: Permit) -> Reached | None:
        """Return where the resource is read from now; None where it is not, or where the server cannot be reached at all."""
        owner = next((one for one in permit.gateway.assignments if _place(one) == _place(self._owner)), None)
        choice = resolve(permit, owner) if owner is not None and RESOURCES.is_selected(owner, self._uri) else None
        if not isinstance(choice, Choice) or choice.installation.suspended:
            return None
        with suppress(UpstreamError):
            return self._upstreams.of(choice.installation, permit.principal, self._asking)
        return None

    async def _return(self, server: Reached) -> None:
        """Have it watched at another connection; a server that cannot be asked is asked again at the next look."""
        try:
            await server.watched.watch(self._uri, self._client.tell, server.headers)
        except UpstreamError:
            if self._at is server:
                self._at = None
            return
        if self._at is server:
            # Of what changed meanwhile nobody has heard.
            self._client.tell(self._uri)


async def subscribe(question: Question, request: Request, servers: Servers) -> Refusal | None:
    """Carry out a legacy client's `resources/subscribe` or `resources/unsubscribe`; return why not."""
    uri = jsonrpc.text_member(request.params, "uri")
    if uri is None or not isinstance(question.rules, Within):
        return Refusal(Reason.PARAMS_INVALID, detail="uri must be a string")
    state = question.rules.state
    if request.method == "resources/unsubscribe":
        subscription = state.subscriptions.pop(uri, None)
        if subscription is not None:
            subscription.end()
        return None
    if uri in state.subscriptions:
        return None
    if len(state.subscriptions) >= MAX_SUBSCRIPTIONS:
        return Refusal(Reason.PARAMS_INVALID, detail=f"a session has at most {MAX_SUBSCRIPTIONS} subscriptions")
    begun = await watch(uri, Client(state.tell_updated, state.updated), question, servers)
    if isinstance(begun, Refusal):
        return begun
    state.subscriptions[uri] = begun
    return None


async def watch(uri: str, client: Client, question: Question, servers: Servers) -> Subscription | Refusal:
    """Begin a subscription; or return why it cannot be."""
    owner = await owner_of_resource(uri, question, servers)
    if isinstance(owner, Refusal):
        return owner
    subscription = Subscription(uri, client, owner, question.rules, servers.upstreams)
    return await subscription.begin(question.permit) or subscription


def _place(assignment: Assignment) -> tuple[object, ...]:
    return assignment.pinned, assignment.entry, assignment.environment


def _in_background(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
