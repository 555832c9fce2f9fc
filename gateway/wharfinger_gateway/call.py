"""tools/call: which tool, whose installation, and the call itself. Each step gives a value or a Refusal."""

from __future__ import annotations

import time

import msgspec

from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.catalog import Catalogs, Listed, find
from wharfinger_gateway.forward import Served, Servers, Target, forward
from wharfinger_gateway.question import Question
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.resolve import Choice, resolve
from wharfinger_gateway.snapshot import Assignment
from wharfinger_gateway.trace import Trace
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import HEADER_MISMATCH, Params
from wharfinger_mcp.param_header import headers_for, param_mismatch
from wharfinger_mcp.resource_tool import read_params
from wharfinger_mcp.revision import Rejection


class Call(msgspec.Struct, frozen=True):
    """A call as it went: what the audit record is about."""

    permit: Permit
    outcome: Served | Refusal
    name: str = ""
    """The exposed name of the tool or prompt, or the URI of the resource, as the caller wrote it."""
    listed: Listed | None = None
    choice: Choice | None = None
    upstream_seconds: float = 0.0
    """Time spent waiting for the server."""
    method: str = "tools/call"


async def call_tool(question: Question, params: Params, catalogs: Catalogs, servers: Servers, trace: Trace | None = None) -> Call:
    """Carry out a tools/call."""
    permit = question.permit
    name = jsonrpc.text_member(params, "name")
    if name is None:
        return Call(permit, Refusal(Reason.PARAMS_INVALID, detail="name must be a string"))
    if "arguments" in params and bytes(memoryview(params["arguments"])[:1]) != b"{":
        return Call(permit, Refusal(Reason.PARAMS_INVALID, detail="arguments must be an object"), name)
    listed = find(catalogs.of(permit), name)
    if isinstance(listed, Refusal):
        return Call(permit, listed, name)
    mismatch = _mismatch(listed, params, question)
    if mismatch is not None:
        return Call(permit, mismatch, name, listed)
    if trace is not None:
        trace.step("credential")
    choice = _choice(permit, listed.assignment)
    if isinstance(choice, Refusal):
        return Call(permit, choice, name, listed)
    if choice.installation.suspended:
        return Call(permit, Refusal(Reason.INSTALLATION_SUSPENDED), name, listed, choice)
    started = time.perf_counter()
    outcome = await forward(question, choice, target(listed, params, trace), params, servers)
    return Call(permit, outcome, name, listed, choice, time.perf_counter() - started)


def _choice(permit: Permit, assignment: Assignment) -> Choice | Refusal:
    known = permit.worked_out.get(id(assignment))
    if isinstance(known, Choice | Refusal):
        return known
    # The catalogue beside it holds the assignment, so that its identity stays its own.
    found = permit.worked_out[id(assignment)] = resolve(permit, assignment)
    return found


def target(listed: Listed, params: Params, trace: Trace | None) -> Target:
    """Return what the server is asked for: its own tool, or the resource that the tool stands for."""
    if listed.resource is not None:
        return Target("resources/read", read_params(params, listed.resource), is_resource_of_a_tool=True, trace=trace)
    headers = headers_for(listed.annotated, jsonrpc_value(params.get("arguments"))) if listed.annotated else {}
    return Target("tools/call", jsonrpc.renamed(params, listed.tool.name), headers, trace=trace)


def jsonrpc_value(raw: msgspec.Raw | None) -> object:
    """Return the value of raw JSON that has been parsed before."""
    return None if raw is None else msgspec.json.decode(raw)


def _mismatch(listed: Listed, params: Params, question: Question) -> Refusal | None:
    """Return how headers contradict arguments that they repeat (2026-07-28)."""
    if not question.modern or not listed.annotated:
        return None
    why = param_mismatch(listed.annotated, jsonrpc_value(params.get("arguments")), question.headers)
    return Refusal.of(Rejection(400, HEADER_MISMATCH, f"Header mismatch: {why}")) if why else None
