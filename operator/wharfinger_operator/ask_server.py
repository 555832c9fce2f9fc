"""Ask one server for its tools, over MCP."""

from __future__ import annotations

from typing import Final

import msgspec

from wharfinger_crds import conditions as c
from wharfinger_crds.connection import Connection
from wharfinger_crds.installation import ServerInfo
from wharfinger_crds.tool_definitions import definitions_text
from wharfinger_mcp.discovery import discover
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.envelope import Identity
from wharfinger_mcp.errors import RefusedError, UpstreamError
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.listing import ListLimits
from wharfinger_mcp.upstream import Upstream
from wharfinger_operator.discover import Answer, DiscoveryError

STORED_BYTES: Final = 900_000
"""A ConfigMap holds a mebibyte; the rest is for its metadata."""
_TEXT: Final = 256


class ServerAsker:
    """Asks servers; its connections live as long as it does."""

    def __init__(self, version: str) -> None:
        self._client = HttpClient()
        self._identity = Identity("wharfinger-operator", version)

    async def ask(self, connection: Connection, timeout: float) -> Answer:  # noqa: ASYNC109 - a bound of the protocol, per request
        """Return a server's tools and what it says of itself, within `timeout` seconds. Raises DiscoveryError."""
        headers = {header.name: header.value for header in connection.headers}
        try:
            upstream = Upstream(self._client, parse_endpoint(connection.url), self._identity)
            try:
                found = await discover(upstream, headers, ListLimits(seconds=timeout))
            finally:
                await upstream.close(headers)
        except RefusedError as error:
            raise DiscoveryError(error.message, c.CREDENTIAL_REFUSED if error.status in {401, 403} else c.DISCOVERY_FAILED) from None
        except UpstreamError as error:
            raise DiscoveryError(error.message) from None
        definitions = definitions_text([msgspec.json.decode(tool.definition) for tool in found.tools])
        if len(definitions.encode()) > STORED_BYTES:
            raise DiscoveryError(
                f"the definitions of the {len(found.tools)} tools are larger than {STORED_BYTES} bytes, which a ConfigMap cannot hold"
            )
        info = found.server_info
        return Answer(
            definitions, ServerInfo(name=info.name[:_TEXT], version=info.version[:_TEXT], protocol_version=found.protocol_version[:32])
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
