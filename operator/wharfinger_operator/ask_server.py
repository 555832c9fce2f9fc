"""Ask one server for its tools, and listen to it, over MCP."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

import msgspec

from wharfinger_crds import conditions as c
from wharfinger_crds.connection import Connection
from wharfinger_crds.installation import ServerInfo
from wharfinger_crds.tool_definitions import DefinitionsTooLargeError, definitions_of
from wharfinger_mcp.changes import announced, follow
from wharfinger_mcp.discovery import Discovery, DroppedTool, discover
from wharfinger_mcp.egress_guard import guard_of
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.envelope import Identity
from wharfinger_mcp.errors import EgressRefusedError, RefusedError, TooLargeError, UpstreamError
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.listing import ListLimits
from wharfinger_mcp.upstream import Upstream
from wharfinger_operator.discover import Answer, DiscoveryError
from wharfinger_operator.listen import STREAM_SECONDS, StreamError

DROPPED_SHOWN: Final = 10
_TEXT: Final = 256
_REASON: Final = 160
_AT_ONCE: Final = 32 * 1024
"""Bytes of definitions that are worked on without a thread."""
_SHRINK: Final = "let the server offer fewer tools or shorter descriptions, or run it as several entries"


class ServerAsker:
    """Asks servers; its connections live as long as it does."""

    def __init__(self, version: str) -> None:
        self._client = HttpClient()
        self._identity = Identity("wharfinger-operator", version)

    async def ask(self, connection: Connection, timeout: float) -> Answer:  # noqa: ASYNC109 - a bound of the protocol, per request
        """Return a server's tools and what it says of itself, within `timeout` seconds. Raises DiscoveryError."""
        headers = {header.name: header.value for header in connection.headers}
        try:
            upstream = self._upstream(connection)
            try:
                found = await discover(upstream, headers, ListLimits(seconds=timeout))
            finally:
                await upstream.close(headers)
        except RefusedError as error:
            raise DiscoveryError(error.message, c.CREDENTIAL_REFUSED if error.status in {401, 403} else c.DISCOVERY_FAILED) from None
        except TooLargeError as error:
            raise DiscoveryError(f"{error.message}: {_SHRINK}", c.DEFINITIONS_TOO_LARGE) from None
        except EgressRefusedError as error:
            raise DiscoveryError(f"{error.message}: see spec.egress of Environment {connection.environment}", c.EGRESS_REFUSED) from None
        except UpstreamError as error:
            raise DiscoveryError(error.message) from None
        # Of a mebibyte, parsing, hashing and packing would hold everyone else up; of little, handing it to a thread costs more than it does.
        large = sum(len(tool.definition) for tool in found.tools) > _AT_ONCE
        return await asyncio.to_thread(_answer, found) if large else _answer(found)

    async def listen(self, connection: Connection, on_change: Callable[[], None]) -> bool:
        """Call back whenever a server says that its lists changed, until its stream ends; False: it has none. Raises StreamError."""
        headers = {header.name: header.value for header in connection.headers}
        seconds = STREAM_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
        try:
            upstream = self._upstream(connection)
            try:
                return await follow(upstream, headers, on_change, seconds)
            finally:
                await upstream.close(headers)
        except UpstreamError as error:
            raise StreamError(error.message) from None

    def _upstream(self, connection: Connection) -> Upstream:
        endpoint = parse_endpoint(connection.url, guard=guard_of(connection))
        return Upstream(self._client, endpoint, self._identity, transport=connection.transport)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _answer(found: Discovery) -> Answer:
    try:
        definitions = definitions_of([msgspec.json.decode(tool.definition) for tool in found.tools])
    except DefinitionsTooLargeError as error:
        raise DiscoveryError(f"{error}; {_SHRINK}", c.DEFINITIONS_TOO_LARGE) from None
    info = found.server_info
    server = ServerInfo(name=info.name[:_TEXT], version=info.version[:_TEXT], protocol_version=found.protocol_version[:32])
    return Answer(definitions, server, *_remark(found), announces=bool(announced(found.capabilities)))


def _remark(found: Discovery) -> tuple[str, str]:
    """Return reason and message of a condition that is True, but remarkable."""
    if found.dropped:
        return c.DEFINITIONS_DROPPED, _dropped(found.dropped, len(found.tools) + len(found.dropped))
    if found.tools:
        return c.SUCCEEDED, ""
    declared = [kind for kind in ("tools", "resources") if kind in found.capabilities]
    return c.NO_TOOLS, f"the server lists no {' and no '.join(declared)}" if declared else "the server declares neither tools nor resources"


def _dropped(dropped: tuple[DroppedTool, ...], total: int) -> str:
    ordered = sorted((tool.name, tool.reason) for tool in dropped)
    shown = "; ".join(f"{name[:_TEXT]}: {reason[:_REASON]}" for name, reason in ordered[:DROPPED_SHOWN])
    more = f"; and {len(ordered) - DROPPED_SHOWN} more" if len(ordered) > DROPPED_SHOWN else ""
    return f"{len(ordered)} of {total} cannot be used and are left out: {shown}{more}"
