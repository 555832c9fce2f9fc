"""Calls to a recording server, with a credential that must appear nowhere."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from recording_server import Http, RecordingServer
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.envelope import Era, Identity
from wharfinger_mcp.http_client import HttpClient
from wharfinger_mcp.jsonrpc import Params, Response
from wharfinger_mcp.session import TransportName
from wharfinger_mcp.upstream import CallLimits, Upstream

IDENTITY = Identity("wharfinger", "0.1.0", {"roots": {}})
CREDENTIAL = {"Authorization": "Bearer hunter2"}
both_eras = pytest.mark.parametrize("modern", [False, True], ids=["legacy", "modern"])


def params(**members: object) -> Params:
    return {name: jsonrpc.raw_json(value) for name, value in members.items()}


async def call(upstream: Upstream, headers: Mapping[str, str] = CREDENTIAL, **limits: Any) -> Response:
    return await upstream.call("tools/call", params(name="a"), headers, CallLimits(**limits))


async def made(server: RecordingServer, client: HttpClient, http: Http, era: Era | None = None) -> Upstream:
    return Upstream(client, await http(server), IDENTITY, era)


def value_of(response: Response) -> Any:
    return json.loads(msgspec.json.encode(response.result))


async def older(server: Any, client: HttpClient, http: Http, transport: TransportName = "SSE") -> Upstream:
    """Return an upstream of a server that speaks HTTP+SSE, declared to or not."""
    return Upstream(client, await http(server), IDENTITY, transport=transport)
