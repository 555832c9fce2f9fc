"""tools/call through the pipeline to real servers."""

import json
from typing import Any

import msgspec
import pytest

from gateway_served import Serve
from gateway_upstream import UpstreamServer
from gateway_world import (
    ALICE,
    BOB,
    DAVE,
    ENGINEERING,
    ORGANIZATION,
    PUBLIC_URL,
    SECRET,
    Manifest,
    by_entry,
    entry,
    gateway,
    installation,
    pinned,
    settings,
    snapshot_of,
    tool,
)
from own_address import ADDRESS

ERAS = pytest.mark.parametrize("modern", [False, True], ids=["legacy-client", "modern-client"])
OURS = {
    "host",
    "content-length",
    "content-type",
    "accept",
    "accept-encoding",
    "mcp-protocol-version",
    "mcp-session-id",
    "mcp-method",
    "mcp-name",
}


def bot(server: UpstreamServer | str, **options: Any) -> list[Manifest]:
    return installation("bot", team="engineering", url=server if isinstance(server, str) else server.url, **options)


@pytest.mark.requirement("GW-7", "GW-2")
@ERAS
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_call_reaches_the_server_once_under_its_own_name_and_with_the_connections_credential(
    serve: Serve, legacy_server: UpstreamServer, modern_server: UpstreamServer, era: str, modern: bool
) -> None:
    server = legacy_server if era == "legacy" else modern_server
    caller = serve(bot(server), gateway("tools", pinned("bot"))).caller(ALICE)
    for word in ("one", "two"):
        answered = await caller.call("bot__echo", modern=modern, word=word)
        assert json.loads(answered.text) == {"word": word}
    calls = server.calls()
    assert [one.message["params"]["name"] for one in calls] == ["echo", "echo"]
    assert [one.header("Authorization") for one in calls] == [[f"Bearer {SECRET}"]] * 2
    assert len([one for one in server.requests if one.method in ("initialize", "server/discover")]) <= 2
    assert ALICE not in repr([(one.headers, one.message) for one in server.requests])


@pytest.mark.requirement("GW-7")
@ERAS
async def test_no_header_of_the_client_goes_upstream(serve: Serve, modern_server: UpstreamServer, modern: bool) -> None:
    caller = serve(bot(modern_server), gateway("tools", pinned("bot"))).caller(ALICE)
    params = {"name": "bot__echo", "arguments": {}}
    smuggled = {
        "X_Api_Key": "smuggled",
        "Cookie": "smuggled",
        "X_Forwarded_For": "smuggled",
        "Mcp_Param_Region": "smuggled",
        "X_Site": "smuggled",
    }
    if modern:
        assert (await caller.modern("tools/call", params, **smuggled)).status == 200
    else:
        await caller.initialize()
        assert (await caller.request("tools/call", params, **smuggled)).status == 200
    (call,) = modern_server.calls()
    assert {name.lower() for name, _ in call.headers} <= OURS | {"authorization", "x-site"}
    assert "smuggled" not in repr(call.headers)


@ERAS
async def test_the_answer_is_of_the_clients_revision_and_otherwise_unchanged(
    serve: Serve, legacy_server: UpstreamServer, modern_server: UpstreamServer, modern: bool
) -> None:
    rich = {"structuredContent": {"n": 1.0, "big": 2**60}, "_meta": {"x/y": [None]}, "future": {"a": []}}
    for server in (legacy_server, modern_server):
        server.behaviour["echo"] = rich
        answered = await serve(bot(server), gateway("tools", pinned("bot"))).caller(ALICE).call("bot__echo", modern=modern)
        result = answered.result
        assert (result["structuredContent"], result["future"]) == (rich["structuredContent"], rich["future"])
        assert result["_meta"]["x/y"] == [None]
        if modern:
            assert result["resultType"] == "complete"
            assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "dev.tools"


async def test_the_clients_id_comes_back_as_it_was(serve: Serve, legacy_server: UpstreamServer) -> None:
    caller = serve(bot(legacy_server), gateway("tools", pinned("bot"))).caller(ALICE)
    await caller.initialize()
    for id_ in ("abc", 7, 2**53, -1, ""):
        answered = await caller.request("tools/call", {"name": "bot__echo"}, id_=id_)
        assert answered.message["id"] == id_
        assert type(answered.message["id"]) is type(id_)


async def test_a_task_is_not_asked_for_upstream_since_none_is_passed_back(serve: Serve, legacy_server: UpstreamServer) -> None:
    caller = serve(bot(legacy_server), gateway("tools", pinned("bot"))).caller(ALICE)
    await caller.initialize()
    params = {"name": "bot__echo", "arguments": {}, "task": {"ttl": 1}, "_meta": {"x/y": 2}, "other": 3}
    await caller.request("tools/call", params)
    assert legacy_server.calls()[0].message["params"] == {"name": "echo", "arguments": {}, "_meta": {"x/y": 2}, "other": 3}


@ERAS
async def test_an_error_of_the_server_is_passed_on(serve: Serve, legacy_server: UpstreamServer, modern: bool) -> None:
    legacy_server.behaviour["echo"] = {"code": -32602, "message": "bad arguments", "data": {"x": 1}}
    answered = await serve(bot(legacy_server), gateway("tools", pinned("bot"))).caller(ALICE).call("bot__echo", modern=modern)
    assert answered.error == {"code": -32602, "message": "bad arguments", "data": {"x": 1}}
    assert answered.status == (400 if modern else 200)


@ERAS
@pytest.mark.parametrize(
    ("behaviour", "words"),
    [(401, "refused the connection's credential"), (403, "refused the connection's credential"), (500, "broke off"), (302, "broke off")],
)
async def test_a_failing_server_is_told_as_a_tool_result(
    serve: Serve, legacy_server: UpstreamServer, behaviour: int, words: str, modern: bool
) -> None:
    legacy_server.behaviour["echo"] = behaviour
    answered = await serve(bot(legacy_server), gateway("tools", pinned("bot"))).caller(ALICE).call("bot__echo", modern=modern)
    assert answered.status == 200
    assert answered.result["isError"] is True
    assert words in answered.text
    assert len(legacy_server.calls()) == 1


async def test_a_server_that_is_not_there_is_told_as_a_tool_result(serve: Serve) -> None:
    answered = await serve(bot(f"http://{ADDRESS}:9/mcp"), gateway("tools", pinned("bot"))).caller(ALICE).call("bot__echo")
    assert (answered.result["isError"], "cannot be reached" in answered.text) == (True, True)


async def test_a_server_that_asks_for_input_is_told_as_a_tool_result(serve: Serve, modern_server: UpstreamServer) -> None:
    modern_server.behaviour["echo"] = {"resultType": "input_required", "inputRequests": {}}
    answered = await serve(bot(modern_server), gateway("tools", pinned("bot"))).caller(ALICE).call("bot__echo", modern=True)
    assert (answered.result["isError"], answered.result["resultType"]) == (True, "complete")


@pytest.mark.requirement("GW-6")
async def test_a_session_that_the_server_forgot_is_made_anew_and_the_call_is_carried_out_once(
    serve: Serve, legacy_server: UpstreamServer
) -> None:
    caller = serve(bot(legacy_server), gateway("tools", pinned("bot"))).caller(ALICE)
    await caller.call("bot__echo")
    legacy_server.forget_sessions()
    assert (await caller.call("bot__echo", n=2)).status == 200
    assert [one.header("Mcp-Session-Id") for one in legacy_server.calls()] == [["session-0"], ["session-0"], ["session-1"]]


@pytest.mark.requirement("GW-6")
async def test_two_callers_share_no_session_with_a_server(serve: Serve, legacy_server: UpstreamServer) -> None:
    served = serve(bot(legacy_server), gateway("tools", pinned("bot")))
    for token in (ALICE, BOB, ENGINEERING, ALICE):
        await served.caller(token).call("bot__echo")
    sessions = [one.header("Mcp-Session-Id")[0] for one in legacy_server.calls()]
    assert sessions == ["session-0", "session-1", "session-2", "session-0"]


@pytest.mark.requirement("GW-6")
@ERAS
async def test_who_has_no_installation_gets_the_link_to_install_one(serve: Serve, legacy_server: UpstreamServer, modern: bool) -> None:
    served = serve(bot(legacy_server), entry("github"), gateway("tools", by_entry()))
    answered = await served.caller(DAVE).call("github__echo", modern=modern)
    assert answered.status == 200
    assert answered.result["isError"] is True
    assert answered.text.endswith(f"{PUBLIC_URL}/install/github")
    assert legacy_server.requests == []


@pytest.mark.requirement("GW-6", "GW-3")
async def test_who_may_not_install_gets_neither_tool_nor_link(serve: Serve, legacy_server: UpstreamServer) -> None:
    served = serve(bot(legacy_server), entry("github", teams=["engineering"]), gateway("tools", by_entry()))
    for token in (DAVE, ORGANIZATION):
        answered = await served.caller(token).call("github__echo")
        assert answered.error == {"code": -32602, "message": "Unknown tool github__echo"}
    assert legacy_server.requests == []


async def test_access_is_decided_at_each_call_not_at_listing(serve: Serve, legacy_server: UpstreamServer) -> None:
    served = serve(bot(legacy_server), gateway("tools", pinned("bot")))
    caller = served.caller(ALICE)
    assert await caller.tools() == ["bot__echo", "bot__get_me"]

    served.current.publish(snapshot_of(bot(legacy_server), gateway("tools", pinned("bot")), settings(teams={})))
    assert (await caller.call("bot__echo")).error["code"] == -32602
    assert legacy_server.requests == []


async def test_a_suspended_installation_says_so(serve: Serve, legacy_server: UpstreamServer) -> None:
    answered = await serve(bot(legacy_server, suspend=True), gateway("tools", pinned("bot"))).caller(ALICE).call("bot__echo")
    assert "suspended" in answered.text
    assert legacy_server.requests == []


async def test_a_changed_connection_is_used_at_the_next_call_and_the_old_one_is_dropped(
    serve: Serve, legacy_server: UpstreamServer, modern_server: UpstreamServer
) -> None:

    served = serve(bot(legacy_server), gateway("tools", pinned("bot")))
    await served.caller(ALICE).call("bot__echo")
    after = snapshot_of(bot(modern_server), gateway("tools", pinned("bot")))
    served.put_in_force(after)
    assert len(served.upstreams) == 0
    await served.caller(ALICE).call("bot__echo")
    assert (len(legacy_server.calls()), len(modern_server.calls())) == (1, 1)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "name must be a string"),
        ({"name": 7}, "name must be a string"),
        ({"name": "bot__echo", "arguments": []}, "arguments must be an object"),
        ({"name": "bot__echo", "arguments": "x"}, "arguments must be an object"),
    ],
)
async def test_params_of_another_shape_are_refused(serve: Serve, legacy_server: UpstreamServer, params: Manifest, says: str) -> None:
    caller = serve(bot(legacy_server), gateway("tools", pinned("bot"))).caller(ALICE)
    await caller.initialize()
    answered = await caller.request("tools/call", params)
    assert (answered.error["code"], says in answered.error["message"]) == (-32602, True)
    assert legacy_server.requests == []


REGION = tool("query", inputSchema={"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}})


@pytest.mark.parametrize(("header", "status"), [("eu", 200), ("us", 400), (None, 400)])
async def test_headers_that_repeat_arguments_must_agree_and_are_derived_anew(
    serve: Serve, modern_server: UpstreamServer, header: str | None, status: int
) -> None:
    caller = serve(bot(modern_server, tools=[REGION]), gateway("tools", pinned("bot"))).caller(ALICE)
    headers = {"Mcp_Param_Region": header} if header else {}
    answered = await caller.modern("tools/call", {"name": "bot__query", "arguments": {"region": "eu"}}, **headers)
    assert answered.status == status
    if status == 400:
        assert answered.error["code"] == -32020
        assert modern_server.requests == []
    else:
        assert modern_server.calls()[0].header("Mcp-Param-Region") == ["eu"]


async def test_a_large_answer_passes_whole(serve: Serve, legacy_server: UpstreamServer) -> None:
    legacy_server.behaviour["echo"] = {"content": [{"type": "text", "text": "é" * 1_000_000}]}
    answered = await serve(bot(legacy_server), gateway("tools", pinned("bot"))).caller(ALICE).call("bot__echo", modern=True)
    assert answered.text == "é" * 1_000_000
    assert msgspec.json.decode(answered.reply.body)["result"]["resultType"] == "complete"


@pytest.mark.requirement("GW-5")
@pytest.mark.parametrize("modern", [False, True], ids=["legacy client", "modern client"])
@pytest.mark.parametrize("structured", [{"a": 1.5}, [1], "x", 1, None])
async def test_structured_content_that_is_no_object_is_for_newer_clients_alone(
    serve: Serve, modern_server: UpstreamServer, modern: bool, structured: Any
) -> None:
    content = {"content": [{"type": "text", "text": "said"}]}
    modern_server.behaviour["echo"] = content | {"structuredContent": structured}
    served = serve(installation("bot", team="engineering", url=modern_server.url), gateway("tools", pinned("bot")))
    result = (await served.caller(ALICE).call("bot__echo", modern=modern)).result
    assert result["content"] == content["content"]
    assert ("structuredContent" in result) == (modern or isinstance(structured, dict))
    if "structuredContent" in result:
        assert result["structuredContent"] == structured
