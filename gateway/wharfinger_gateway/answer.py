"""The methods: one request of an admitted caller to its answer. A method that is not here does not exist, in its era."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from functools import partial
from typing import Final

from wharfinger_gateway import modern
from wharfinger_gateway.call import Call, call_tool
from wharfinger_gateway.catalog import Catalogs
from wharfinger_gateway.feature import asked_for, request_feature
from wharfinger_gateway.forward import Servers
from wharfinger_gateway.limits import Limits
from wharfinger_gateway.list_changes import ListChanges
from wharfinger_gateway.listeners import Listener, Listeners
from wharfinger_gateway.lists import listed
from wharfinger_gateway.question import Question, Within
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.relay import LOG_LEVELS
from wharfinger_gateway.reply import Answer, refused, result, served
from wharfinger_gateway.scope import CancelScope
from wharfinger_gateway.selection import KINDS, members_of
from wharfinger_gateway.server_info import capabilities
from wharfinger_gateway.subscribe import MAX_SUBSCRIPTIONS, Client, Subscription, subscribe, watch
from wharfinger_gateway.subscription import acknowledgement, announcement, ending, wanted_kinds, wanted_resources
from wharfinger_gateway.telemetry import Telemetry
from wharfinger_gateway.trace import Trace
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import Request

NEEDED: Final = {
    "prompts/list": "prompts",
    "prompts/get": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resources",
    "resources/read": "resources",
    "resources/subscribe": "resources",
    "resources/unsubscribe": "resources",
    "completion/complete": "completions",
}
"""Capabilities without which a method does not exist."""
_ONE_PAGE: Final = Refusal(Reason.PARAMS_INVALID, detail="the list has one page: omit cursor")


class Answerer:
    """Answers requests out of catalogues and upstreams."""

    def __init__(self, catalogs: Catalogs, servers: Servers, listeners: Listeners, telemetry: Telemetry, limits: Limits) -> None:
        self._catalogs = catalogs
        self._servers = servers
        self._listeners = listeners
        self._telemetry = telemetry
        self._limits = limits

    async def answer(self, question: Question, request: Request, started: float) -> Answer:
        """Answer one request; `started` is when its HTTP request arrived, by the performance counter."""
        needed = NEEDED.get(request.method)
        if needed is not None and needed not in capabilities(question.permit.gateway):
            return self._refuse(question, request, Refusal(Reason.METHOD_UNKNOWN))
        match request.method, question.modern:
            case (("tools/call" | "prompts/get" | "resources/read" | "completion/complete"), _):
                return await self._call(question, request, started)
            case "tools/list", _:
                return self._list(question, request)
            case (("prompts/list" | "resources/list" | "resources/templates/list"), _):
                return await self._list_live(question, request)
            case "server/discover", True:
                return result(request.id, modern.discover_result(question.permit.gateway))
            case "subscriptions/listen", True:
                return await self._listen(question, request)
            case (("resources/subscribe" | "resources/unsubscribe"), False):
                return await self._subscribe(question, request)
            case "logging/setLevel", False:
                return self._set_level(question, request)
            case "ping", False:
                return result(request.id, {})
            case _:
                return self._refuse(question, request, Refusal(Reason.METHOD_UNKNOWN))

    async def _list_live(self, question: Question, request: Request) -> Answer:
        if _has_cursor(request):
            return self._refuse(question, request, _ONE_PAGE)
        kind = KINDS[request.method]
        found = members_of(kind, await listed(kind, question, self._servers.upstreams))
        return result(request.id, modern.list_result(question.permit.gateway, found) if question.modern else found)

    def _list(self, question: Question, request: Request) -> Answer:
        if _has_cursor(request):
            return self._refuse(question, request, _ONE_PAGE)
        catalog = self._catalogs.of(question.permit)
        return result(request.id, catalog.modern_result if question.modern else catalog.legacy_result)

    async def _call(self, question: Question, request: Request, started: float) -> Answer:
        calls = question.rules.state.calls if isinstance(question.rules, Within) else {}
        if request.id in calls:
            return self._refuse(question, request, Refusal(Reason.ID_IN_USE))
        slot = self._limits.begin(question.permit)
        if isinstance(slot, Refusal):
            self._telemetry.called(_not_made(question, request, slot), request.params, time.perf_counter() - started)
            return self._refuse(question, request, slot)
        trace = self._telemetry.begin(question.permit, request, time.perf_counter() - started)
        scope = CancelScope()
        if question.modern:
            # Its client's leaving means nothing in older revisions (2025-11-25, transports), where a message cancels.
            question.channel.on_leave(scope.cancel)
        calls[request.id] = scope.cancel
        question.channel.linger()
        try:
            call = await scope.run(self._work(question, request, trace))
        finally:
            del calls[request.id]
            self._limits.end(slot)
        if call is None:
            call = _not_made(question, request, Refusal(Reason.CANCELLED))
            answer = Answer(b"")
        elif isinstance(call.outcome, Refusal):
            answer = self._refuse(question, request, call.outcome)
        else:
            is_read = request.method == "resources/read"
            answer = served(request.id, call.outcome.response, question.permit.gateway, is_modern=question.modern, cacheable=is_read)
        self._telemetry.called(call, request.params, time.perf_counter() - started, trace)
        return answer

    def _work(self, question: Question, request: Request, trace: Trace | None) -> Awaitable[Call]:
        if request.method == "tools/call":
            return call_tool(question, request.params, self._catalogs, self._servers, trace)
        return request_feature(question, request, self._servers, trace)

    async def _listen(self, question: Question, request: Request) -> Answer:
        wanted = wanted_kinds(request.params)
        if wanted is None:
            return self._refuse(question, request, Refusal(Reason.PARAMS_INVALID, detail="notifications must be an object"))
        excess = self._listeners.refusal(question.permit)
        if excess is not None:
            return self._refuse(question, request, excess)
        kinds = tuple(kind for kind in wanted if kind in capabilities(question.permit.gateway))
        listener = Listener(question.incoming, partial(announcement, subscription=request.id), {})
        changes = ListChanges(listener, question.rules, kinds, self._servers.upstreams)
        watching = await self._watch(question, request, listener)
        listener.on_look.extend(subscription.look for subscription in watching.values())
        try:
            await question.channel.say(acknowledgement(request.id, kinds, watching))
            refusal = await self._listeners.serve(listener, question.permit, kinds)
        finally:
            changes.end()
            for subscription in watching.values():
                subscription.end()
        if refusal is not None:
            return self._refuse(question, request, refusal)
        return result(request.id, ending(request.id))

    async def _watch(self, question: Question, request: Request, listener: Listener) -> dict[str, Subscription]:
        """Have watched what can be of the resources that are asked for; by URI."""

        def tell(uri: str) -> None:
            listener.updated[uri] = None
            listener.look()

        watching: dict[str, Subscription] = {}
        if "resources" in capabilities(question.permit.gateway):
            for uri in wanted_resources(request.params)[:MAX_SUBSCRIPTIONS]:
                begun = await watch(uri, Client(tell, listener.updated), question, self._servers)
                if not isinstance(begun, Refusal):
                    watching[uri] = begun
        return watching

    async def _subscribe(self, question: Question, request: Request) -> Answer:
        refusal = await subscribe(question, request, self._servers)
        return result(request.id, {}) if refusal is None else self._refuse(question, request, refusal)

    def _set_level(self, question: Question, request: Request) -> Answer:
        level = jsonrpc.text_member(request.params, "level")
        if level not in LOG_LEVELS:
            return self._refuse(question, request, Refusal(Reason.PARAMS_INVALID, detail=f"level must be one of {', '.join(LOG_LEVELS)}"))
        if isinstance(question.rules, Within):
            question.rules.state.log_level = level
        return result(request.id, {})

    def _refuse(self, question: Question, request: Request, refusal: Refusal) -> Answer:
        self._telemetry.refused(refusal.reason)
        of_a_tool = request.method == "tools/call"
        return refused(request.id, refusal, question.permit.gateway, is_modern=question.modern, of_a_tool=of_a_tool)


def _not_made(question: Question, request: Request, refusal: Refusal) -> Call:
    """Return the record of a call that did not come to its end, of which no more is known than its request."""
    return Call(question.permit, refusal, asked_for(request), method=request.method)


def _has_cursor(request: Request) -> bool:
    return bytes(request.params.get("cursor", b"null")) != b"null"
