"""What servers list of prompts, resources and templates, asked for on behalf of one caller.

Each server is asked in the caller's own session, and remembered for a minute. One that fails, or is not there for this caller, leaves a
gap: it hides nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from msgspec import Raw

from wharfinger_gateway.asking import asking
from wharfinger_gateway.question import Question
from wharfinger_gateway.resolve import Choice, resolve
from wharfinger_gateway.selection import Kind, Selected, selected
from wharfinger_gateway.snapshot import Assignment
from wharfinger_gateway.upstreams import Upstreams
from wharfinger_mcp.errors import NotListedError, UpstreamError
from wharfinger_mcp.listing import ListLimits, list_all
from wharfinger_mcp.upstream import CallLimits

KEPT_SECONDS: Final = 60.0
LIMITS: Final = ListLimits(items=1000, bytes=1024 * 1024, pages=50, seconds=10.0)
_log = logging.getLogger(__name__)


async def listed(kind: Kind, question: Question, upstreams: Upstreams) -> Selected:
    """Return what the caller sees of a kind, of all servers of the gateway."""
    able = [one for one in question.permit.gateway.assignments if kind.patterns(one)]
    lists = await asyncio.gather(*(_of_server(kind, question, assignment, upstreams) for assignment in able))
    return selected(kind, zip(able, lists, strict=True))


async def _of_server(kind: Kind, question: Question, assignment: Assignment, upstreams: Upstreams) -> tuple[Raw, ...]:
    choice = resolve(question.permit, assignment)
    if not isinstance(choice, Choice) or choice.installation.suspended:
        return ()
    now = asyncio.get_running_loop().time()
    try:
        server = upstreams.of(choice.installation, question.permit.principal, asking(question))
        known = server.lists.get(kind.method)
        if known is not None and known[0] > now:
            return known[1]
        handshake = await server.upstream.open(server.headers, CallLimits(LIMITS.seconds))
        found = await list_all(server.upstream, kind.method, server.headers, LIMITS) if kind.capability in handshake.capabilities else ()
    except NotListedError as error:
        _log.info("%s of installation %s: %s", kind.method, choice.installation.path, error.message)
        return ()
    except UpstreamError as error:
        _log.warning("%s of installation %s: %s", kind.method, choice.installation.path, error.message)
        return ()
    server.lists[kind.method] = now + KEPT_SECONDS, found
    return found
