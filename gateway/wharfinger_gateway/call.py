"""tools/call: which tool, whose installation, and the call itself. Each step gives a value or a Refusal."""

from __future__ import annotations

import time
from dataclasses import dataclass

from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.catalog import Catalogs, Listed, find
from wharfinger_gateway.forward import Served, forward, jsonrpc_value
from wharfinger_gateway.incoming import Headers
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.resolve import Choice, resolve
from wharfinger_gateway.trace import Trace
from wharfinger_gateway.upstreams import Upstreams
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import HEADER_MISMATCH, Params
from wharfinger_mcp.param_header import param_mismatch
from wharfinger_mcp.revision import Rejection


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it went: what the audit record is about."""

    permit: Permit
    outcome: Served | Refusal
    name: str = ""
    """The tool's exposed name, as the caller wrote it."""
    listed: Listed | None = None
    choice: Choice | None = None
    upstream_seconds: float = 0.0
    """Time spent waiting for the server."""


async def call_tool(  # noqa: PLR0913 - what a call is made of
    permit: Permit, params: Params, headers: Headers | None, catalogs: Catalogs, upstreams: Upstreams, *, trace: Trace | None = None
) -> Call:
    """Carry out a tools/call; `headers` are the request's where they repeat arguments (2026-07-28), else None."""
    name = jsonrpc.text_member(params, "name")
    if name is None:
        return Call(permit, Refusal(Reason.PARAMS_INVALID, detail="name must be a string"))
    if not bytes(params.get("arguments", b"{}")).lstrip().startswith(b"{"):
        return Call(permit, Refusal(Reason.PARAMS_INVALID, detail="arguments must be an object"), name)
    listed = find(catalogs.of(permit), name)
    if isinstance(listed, Refusal):
        return Call(permit, listed, name)
    mismatch = _mismatch(listed, params, headers)
    if mismatch is not None:
        return Call(permit, mismatch, name, listed)
    if trace is not None:
        trace.step("credential")
    choice = resolve(permit, listed.assignment)
    if isinstance(choice, Refusal):
        return Call(permit, choice, name, listed)
    if choice.installation.suspended:
        return Call(permit, Refusal(Reason.INSTALLATION_SUSPENDED), name, listed, choice)
    started = time.perf_counter()
    outcome = await forward(permit, choice, listed, params, upstreams, trace=trace)
    return Call(permit, outcome, name, listed, choice, time.perf_counter() - started)


def _mismatch(listed: Listed, params: Params, headers: Headers | None) -> Refusal | None:
    if headers is None or not listed.annotated:
        return None
    why = param_mismatch(listed.annotated, jsonrpc_value(params.get("arguments")), headers)
    return Refusal.of(Rejection(400, HEADER_MISMATCH, f"Header mismatch: {why}")) if why else None
