"""The methods: one request of an admitted caller to its answer. A method that is not here does not exist, in its era."""

from __future__ import annotations

import time

from wharfinger_gateway import modern
from wharfinger_gateway.call import Call, call_tool
from wharfinger_gateway.catalog import Catalogs
from wharfinger_gateway.forward import Served
from wharfinger_gateway.limits import Limits
from wharfinger_gateway.receive import Question
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.reply import Answer, refused, result, served
from wharfinger_gateway.telemetry import Telemetry
from wharfinger_gateway.upstreams import Upstreams
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import Request


class Answerer:
    """Answers requests out of catalogues and upstreams."""

    def __init__(self, upstreams: Upstreams, telemetry: Telemetry, limits: Limits) -> None:
        self._catalogs = Catalogs()
        self._upstreams = upstreams
        self._telemetry = telemetry
        self._limits = limits

    async def answer(self, question: Question, request: Request, started: float) -> Answer:
        """Answer one request; `started` is when its HTTP request arrived, by the performance counter."""
        match request.method, question.modern:
            case "tools/call", _:
                return await self._call(question, request, started)
            case "tools/list", _:
                return self._list(question, request)
            case "server/discover", True:
                return result(request.id, modern.discover_result(question.permit.gateway))
            case "ping", False:
                return result(request.id, {})
            case _:
                return self._refuse(question, request, Refusal(Reason.METHOD_UNKNOWN))

    def _list(self, question: Question, request: Request) -> Answer:
        if bytes(request.params.get("cursor", b"null")) != b"null":
            return self._refuse(question, request, Refusal(Reason.PARAMS_INVALID, detail="the list has one page: omit cursor"))
        catalog = self._catalogs.of(question.permit)
        return result(request.id, catalog.modern_result if question.modern else catalog.legacy_result)

    async def _call(self, question: Question, request: Request, started: float) -> Answer:
        headers = question.headers if question.modern else None
        trace = self._telemetry.begin(question.permit, request.params, time.perf_counter() - started)
        slot = self._limits.begin(question.permit)
        if isinstance(slot, Refusal):
            call = Call(question.permit, slot, jsonrpc.text_member(request.params, "name") or "")
        else:
            try:
                call = await call_tool(question.permit, request.params, headers, self._catalogs, self._upstreams, trace=trace)
            finally:
                self._limits.end(slot)
        if isinstance(call.outcome, Served):
            answer = served(request.id, call.outcome.response, question.permit.gateway, is_modern=question.modern)
        else:
            answer = self._refuse(question, request, call.outcome)
        self._telemetry.called(call, time.perf_counter() - started, trace)
        return answer

    def _refuse(self, question: Question, request: Request, refusal: Refusal) -> Answer:
        self._telemetry.refused(refusal.reason)
        return refused(request.id, refusal, question.permit.gateway, is_modern=question.modern)
