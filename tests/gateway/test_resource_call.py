"""Calls of tools that stand for resources, through the pipeline to real servers."""

from typing import Any

import pytest

from gateway_served import Serve
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, Manifest, gateway, installation, pinned, tool
from wharfinger_mcp.resource_tool import MARK

pytestmark = pytest.mark.requirement("INS-4")

URI = "file:///docs/päge one.md"
READS = tool("read_resource_docs", _meta={MARK: URI})
ERAS = pytest.mark.parametrize("modern", [False, True], ids=["legacy-client", "modern-client"])


def docs(server: UpstreamServer) -> list[Manifest]:
    return installation("docs", team="engineering", url=server.url, tools=[READS])


@ERAS
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_call_becomes_one_read_and_its_contents_the_result(
    serve: Serve, legacy_server: UpstreamServer, modern_server: UpstreamServer, era: str, modern: bool
) -> None:
    server = legacy_server if era == "legacy" else modern_server
    server.behaviour[URI] = {"contents": [{"uri": URI, "text": "hello"}], "ttlMs": 60_000}

    answered = await serve(docs(server), gateway("tools", pinned("docs"))).caller(ALICE).call("docs__read_resource_docs", modern=modern)

    assert answered.result["content"] == [{"type": "text", "text": "hello"}]
    assert not {"contents", "ttlMs"} & answered.result.keys()
    assert answered.result.get("resultType") == ("complete" if modern else None)
    (read,) = [one for one in server.requests if one.method not in ("initialize", "server/discover", "notifications/initialized")]
    assert (read.method, read.message["params"]["uri"]) == ("resources/read", URI)
    assert not {"name", "arguments"} & read.message["params"].keys()
    if era == "modern":
        assert read.header("Mcp-Method") == ["resources/read"]
        assert len(read.header("Mcp-Name")) == 1


@ERAS
@pytest.mark.parametrize(
    ("behaviour", "words"),
    [({"contents": "none"}, "broke off"), ({"resultType": "input_required"}, "asks for further input"), (500, "broke off")],
)
async def test_what_cannot_be_read_is_told_as_a_tool_result(
    serve: Serve, legacy_server: UpstreamServer, behaviour: Any, words: str, modern: bool
) -> None:
    legacy_server.behaviour[URI] = behaviour

    answered = (
        await serve(docs(legacy_server), gateway("tools", pinned("docs"))).caller(ALICE).call("docs__read_resource_docs", modern=modern)
    )

    assert (answered.result["isError"], words in answered.text) == (True, True)


async def test_an_unknown_resource_is_the_servers_own_error(serve: Serve, legacy_server: UpstreamServer) -> None:
    legacy_server.behaviour[URI] = {"code": -32602, "message": "Resource not found", "data": {"uri": URI}}

    answered = await serve(docs(legacy_server), gateway("tools", pinned("docs"))).caller(ALICE).call("docs__read_resource_docs")

    assert answered.error == {"code": -32602, "message": "Resource not found", "data": {"uri": URI}}


async def test_the_tool_is_listed_with_the_resource_that_it_reads(serve: Serve, legacy_server: UpstreamServer) -> None:
    caller = serve(docs(legacy_server), gateway("tools", pinned("docs"))).caller(ALICE)

    listed = (await caller.modern("tools/list", {})).result["tools"]

    assert [(one["name"], one["_meta"][MARK]) for one in listed] == [("docs__read_resource_docs", URI)]
