"""Calls that a modern server refuses unread: for headers that its tool has no more, and for capabilities that the client lacks."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from gateway_served import Serve, Served
from gateway_upstream import Json, UpstreamServer, running_server
from gateway_world import ALICE, Manifest, gateway, installation, pinned, tool

both_clients = pytest.mark.parametrize("modern", [False, True], ids=["legacy-client", "modern-client"])
SAMPLING = {"code": -32021, "message": "the server's own words", "data": {"requiredCapabilities": {"sampling": {}, "bad name\n": {}}}}


def query(header: str | None) -> Manifest:
    annotation = {} if header is None else {"x-mcp-header": header}
    return tool("query", inputSchema={"type": "object", "properties": {"region": {"type": "string"} | annotation}})


@dataclass
class PickyServer(UpstreamServer):
    """It refuses calls of `query` whose headers are not exactly those of its present definition."""

    header: str | None = "Zone"
    status: int = 400
    error: Json | None = None
    """What every call is answered instead, with the status."""
    lists: dict[str, list[Json]] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        message = await request.json()
        if message.get("method") != "tools/call":
            self.lists = {"tools/list": [query(self.header)]}
            return await super().handle(request)
        given = {name.lower(): value for name, value in request.headers.items() if name.lower().startswith("mcp-param-")}
        wanted = {} if self.header is None else {f"mcp-param-{self.header.lower()}": message["params"]["arguments"]["region"]}
        error = self.error or ({"code": -32020, "message": "Header mismatch"} if given != wanted else None)
        if error is not None:
            self.remember(request, message)
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error}, status=self.status)
        return await super().handle(request)


@pytest.fixture
async def server() -> AsyncIterator[PickyServer]:
    running = PickyServer("modern")
    async with running_server(running):
        yield running


def start(serve: Serve, server: PickyServer) -> Served:
    return serve(installation("bot", team="engineering", url=server.url, tools=[query("Region")]), gateway("tools", pinned("bot")))


def methods(server: PickyServer) -> list[str]:
    return [one.method for one in server.requests if one.method != "server/discover"]


async def called(served: Served, *, modern: bool) -> str:
    caller = served.caller(ALICE)
    if not modern:
        return (await caller.call("bot__query", region="eu")).text
    headers = {"Mcp_Param_Region": "eu"}
    return (await caller.modern("tools/call", {"name": "bot__query", "arguments": {"region": "eu"}}, **headers)).text


@pytest.mark.requirement("GW-4")
@both_clients
@pytest.mark.parametrize("header", ["Zone", None], ids=["renamed", "gone"])
async def test_headers_that_the_tool_has_no_more_are_derived_anew_and_the_call_is_made_once_more(
    serve: Serve, server: PickyServer, header: str | None, modern: bool
) -> None:
    server.header = header
    served = start(serve, server)
    for _ in range(2):
        assert await called(served, modern=modern) == '{"region": "eu"}'
    # The list is kept a while.
    assert methods(server) == ["tools/call", "tools/list", "tools/call", "tools/call", "tools/call"]


@both_clients
async def test_headers_that_follow_from_the_present_definition_are_not_tried_again(serve: Serve, server: PickyServer, modern: bool) -> None:
    server.header, server.error = "Region", {"code": -32020, "message": "Header mismatch"}
    assert "does not take the headers of this call. The call was not carried out" in await called(start(serve, server), modern=modern)
    assert methods(server) == ["tools/call", "tools/list"]


async def test_headers_that_are_refused_again_are_refused(serve: Serve, server: PickyServer) -> None:
    server.error = {"code": -32020, "message": "Header mismatch"}
    assert "does not take the headers of this call" in await called(start(serve, server), modern=False)
    assert methods(server) == ["tools/call", "tools/list", "tools/call"]


async def test_a_refusal_that_does_not_prove_that_the_call_was_not_carried_out_is_passed_on(serve: Serve, server: PickyServer) -> None:
    server.status = 200
    served = start(serve, server)
    answered = await served.caller(ALICE).call("bot__query", region="eu")
    assert answered.error["code"] == -32020
    assert methods(server) == ["tools/call"]


@pytest.mark.requirement("GW-5")
async def test_a_legacy_client_is_told_as_a_tool_result_what_it_lacks(serve: Serve, server: PickyServer) -> None:
    server.error = SAMPLING
    answered = await start(serve, server).caller(ALICE).call("bot__query", region="eu")
    assert answered.result["isError"]
    assert answered.text.endswith("The call was not carried out: sampling")


@pytest.mark.parametrize(
    ("declared", "is_error"),
    [({}, True), ({"elicitation": {}}, True), ({"sampling": {}}, False)],
    ids=["that lacks it", "that has others", "that has it"],
)
async def test_a_modern_client_gets_the_error_where_it_is_true_of_it(
    serve: Serve, server: PickyServer, declared: Json, is_error: bool
) -> None:
    server.error = SAMPLING
    caller = start(serve, server).caller(ALICE)
    meta = {"io.modelcontextprotocol/clientCapabilities": declared}
    params = {"name": "bot__query", "arguments": {"region": "eu"}}
    answered = await caller.modern("tools/call", params, meta=meta, Mcp_Param_Region="eu")
    if is_error:
        assert (answered.status, answered.error["code"]) == (400, -32021)
        assert answered.error["data"] == SAMPLING["data"]
    else:
        assert answered.text.endswith("The call was not carried out: sampling")
