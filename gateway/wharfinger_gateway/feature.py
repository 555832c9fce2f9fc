"""prompts/get, resources/read and completion/complete: whose they are, and the request itself. Each step gives a value or a Refusal."""

from __future__ import annotations

import time
from typing import Final

from wharfinger_gateway.call import Call
from wharfinger_gateway.forward import Servers, Target, forward
from wharfinger_gateway.lists import listed
from wharfinger_gateway.question import Question
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.resolve import resolve
from wharfinger_gateway.selection import PROMPTS, RESOURCES, TEMPLATES, owner_of
from wharfinger_gateway.snapshot import Assignment
from wharfinger_gateway.trace import Trace
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import Params, Request

METHODS: Final = ("prompts/get", "resources/read", "completion/complete")


async def request_feature(question: Question, request: Request, servers: Servers, trace: Trace | None = None) -> Call:
    """Carry out a request for a prompt, a resource or a completion."""
    permit, method = question.permit, request.method
    found = await _find(question, request, servers)
    if isinstance(found, Refusal):
        return Call(permit, found, asked_for(request), method=method)
    assignment, name, params = found
    if trace is not None:
        trace.step("credential")
    choice = resolve(permit, assignment)
    if isinstance(choice, Refusal):
        return Call(permit, choice, name, method=method)
    if choice.installation.suspended:
        return Call(permit, Refusal(Reason.INSTALLATION_SUSPENDED), name, choice=choice, method=method)
    started = time.perf_counter()
    outcome = await forward(question, choice, Target(method, params, trace=trace), request.params, servers)
    return Call(permit, outcome, name, choice=choice, upstream_seconds=time.perf_counter() - started, method=method)


def asked_for(request: Request) -> str:
    """Return the name or the URI that a request is about, as its caller wrote it; empty where it is about none."""
    params = request.params
    if request.method == "completion/complete":
        params = (jsonrpc.members(params["ref"]) if "ref" in params else None) or {}
    return jsonrpc.text_member(params, "name") or jsonrpc.text_member(params, "uri") or ""


async def _find(question: Question, request: Request, servers: Servers) -> tuple[Assignment, str, Params] | Refusal:
    """Return whose it is, what the caller calls it, and the params under the server's own names."""
    params = request.params
    if request.method == "completion/complete":
        return await _find_reference(question, params, servers)
    if request.method == "prompts/get":
        name = jsonrpc.text_member(params, "name")
        if name is None:
            return Refusal(Reason.PARAMS_INVALID, detail="name must be a string")
        prompt = (await listed(PROMPTS, question, servers.upstreams)).get(name)
        if prompt is None:
            return Refusal(Reason.PROMPT_UNKNOWN, detail=name if len(name) <= _SHOWN else "")
        return prompt.assignment, name, jsonrpc.renamed(params, prompt.key)
    uri = jsonrpc.text_member(params, "uri")
    if uri is None:
        return Refusal(Reason.PARAMS_INVALID, detail="uri must be a string")
    owner = await owner_of_resource(uri, question, servers)
    return owner if isinstance(owner, Refusal) else (owner, uri, params)


async def owner_of_resource(uri: str, question: Question, servers: Servers) -> Assignment | Refusal:
    """Return the assignment that a resource is read from."""
    resources = await listed(RESOURCES, question, servers.upstreams)
    templates = {} if uri in resources else await listed(TEMPLATES, question, servers.upstreams)
    owner = owner_of(uri, resources, templates, question.permit.gateway)
    return owner or Refusal(Reason.RESOURCE_UNKNOWN, detail=uri if len(uri) <= _SHOWN else "")


async def _find_reference(question: Question, params: Params, servers: Servers) -> tuple[Assignment, str, Params] | Refusal:
    reference = (jsonrpc.members(params["ref"]) if "ref" in params else None) or {}
    match jsonrpc.text_member(reference, "type"):
        case "ref/prompt":
            name = jsonrpc.text_member(reference, "name") or ""
            prompt = (await listed(PROMPTS, question, servers.upstreams)).get(name)
            if prompt is None:
                return Refusal(Reason.PROMPT_UNKNOWN, detail=name if len(name) <= _SHOWN else "")
            own = jsonrpc.raw_json({**reference, "name": jsonrpc.raw_json(prompt.key)})
            return prompt.assignment, name, {**params, "ref": own}
        case "ref/resource":
            uri = jsonrpc.text_member(reference, "uri") or ""
            template = (await listed(TEMPLATES, question, servers.upstreams)).get(uri)
            if template is not None:
                return template.assignment, uri, params
            owner = await owner_of_resource(uri, question, servers)
            return owner if isinstance(owner, Refusal) else (owner, uri, params)
        case _:
            return Refusal(Reason.PARAMS_INVALID, detail="ref must be a ref/prompt or a ref/resource")


_SHOWN: Final = 128
"""Longer names are not repeated."""
