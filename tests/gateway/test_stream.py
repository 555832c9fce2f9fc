"""What servers say during calls, how calls are cancelled, and streams on which clients hear of changes."""

import asyncio
import json
from typing import Any

import pytest

from eventually import eventually
from gateway_caller import Answered, Caller, Json
from gateway_served import Serve, Served
from gateway_upstream import PROGRESS, UpstreamServer
from gateway_world import ALICE, gateway, installation, pinned, tool

ERAS = pytest.mark.parametrize("modern", [False, True], ids=["legacy client", "modern client"])
SERVERS = pytest.mark.parametrize("server", ["legacy_server", "modern_server"], indirect=True)
LEVEL = "io.modelcontextprotocol/logLevel"


def progress(value: int, token: Any = PROGRESS) -> Json:
    return {"method": "notifications/progress", "params": {"progressToken": token, "progress": value, "x": [value]}}


def log(level: str) -> Json:
    return {"method": "notifications/message", "params": {"level": level, "data": "a\nb"}}


@pytest.fixture
def server(request: pytest.FixtureRequest) -> UpstreamServer:
    found: UpstreamServer = request.getfixturevalue(request.param)
    found.gate.set()
    return found


def start(serve: Serve, server: UpstreamServer) -> tuple[Served, Caller]:
    tools = [tool("echo"), tool("wait")]
    served = serve(installation("bot", team="engineering", url=server.url, tools=tools), gateway("tools", pinned("bot")))
    return served, served.caller(ALICE)


async def call(caller: Caller, *, modern: bool, meta: Json | None = None, id_: object = 1, tool: str = "bot__echo") -> Answered:
    params: Json = {"name": tool, "arguments": {}}
    if modern:
        return await caller.modern("tools/call", params, id_=id_, meta=meta)
    return await caller.request("tools/call", params | ({"_meta": meta} if meta else {}), id_=id_)


@ERAS
@SERVERS
async def test_progress_comes_under_the_callers_token_and_nobody_elses(serve: Serve, server: UpstreamServer, modern: bool) -> None:
    server.says["echo"] = [progress(1), progress(2, token="another"), progress(3)]
    _, caller = start(serve, server)
    await caller.initialize()
    for given in ("mine", 7):
        caller.channel.said.clear()
        answered = await call(caller, modern=modern, meta={"progressToken": given})
        assert answered.text == "{}"
        assert [one["params"] for one in caller.channel.said] == [{"progressToken": given, "progress": n, "x": [n]} for n in (1, 3)]
    sent = [one.message["params"]["_meta"]["progressToken"] for one in server.calls()]
    assert len(set(sent)) == 2
    assert "mine" not in sent


@ERAS
@SERVERS
async def test_progress_that_nobody_asked_for_is_not_passed_on(serve: Serve, server: UpstreamServer, modern: bool) -> None:
    server.says["echo"] = [progress(1), progress(1, token="x")]
    _, caller = start(serve, server)
    await caller.initialize()
    for meta in (None, {"progressToken": [1]}):
        await call(caller, modern=modern, meta=meta)
    assert not caller.channel.is_open
    assert all("progressToken" not in one.message["params"].get("_meta", {}) for one in server.calls())


@SERVERS
async def test_a_legacy_client_hears_logs_from_its_level_up_in_its_session_alone(serve: Serve, server: UpstreamServer) -> None:
    server.says["echo"] = [log(level) for level in ("debug", "warning", "error", "loud")]
    served, caller = start(serve, server)
    other = served.caller(ALICE)
    await caller.initialize()
    await other.initialize()
    assert (await caller.request("logging/setLevel", {"level": "error"})).result == {}
    for one, levels in ((caller, ["error"]), (other, ["debug", "warning", "error"])):
        await call(one, modern=False)
        assert [said["params"]["level"] for said in one.channel.said] == levels
    # Servers of the newest era send only what a call asks for; older ones are told by a request of its own, where they declare it.
    asked = [one.message["params"].get("_meta", {}).get(LEVEL) for one in server.calls()]
    assert asked == (["error", "info"] if server.era == "modern" else [None, None])
    for wrong in ({"level": "loud"}, {}, {"level": 3}):
        assert (await caller.request("logging/setLevel", wrong)).error["code"] == -32602


@SERVERS
async def test_a_modern_client_hears_logs_only_where_its_request_names_a_level(serve: Serve, server: UpstreamServer) -> None:
    server.says["echo"] = [log(level) for level in ("debug", "warning", "error")]
    _, caller = start(serve, server)
    await call(caller, modern=True)
    assert caller.channel.said == []
    await call(caller, modern=True, meta={LEVEL: "warning"})
    assert [said["params"]["level"] for said in caller.channel.said] == ["warning", "error"]


@ERAS
@SERVERS
async def test_what_the_gateway_says_itself_is_not_passed_on_and_what_it_does_not_know_is(
    serve: Serve, server: UpstreamServer, modern: bool
) -> None:
    unknown = {"method": "notifications/acme", "params": {"deep": {"$defs": [1.50, None]}}}
    server.says["echo"] = [{"method": "notifications/tools/list_changed"}, unknown, {"method": "ping", "id": 5}]
    _, caller = start(serve, server)
    await caller.initialize()
    await call(caller, modern=modern)
    assert caller.channel.said == [{"jsonrpc": "2.0"} | unknown]


@SERVERS
async def test_a_legacy_client_cancels_by_a_message_and_the_server_is_told(serve: Serve, server: UpstreamServer) -> None:
    server.gate.clear()
    served, caller = start(serve, server)
    await caller.initialize()
    calling = asyncio.create_task(call(caller, modern=False, id_="a", tool="bot__wait"))
    await eventually(server.calls)
    stranger = served.caller(ALICE)
    await stranger.initialize()
    for who, named in ((stranger, "a"), (caller, "b"), (caller, ["a"]), (caller, None)):
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": named}}
        assert (await who.send(json.dumps(cancelled).encode())).status == 202
    assert (await call(caller, modern=False, id_="a")).error["code"] == -32600
    assert not calling.done()

    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "a"}}
    assert (await caller.send(json.dumps(cancelled).encode())).status == 202
    answered = await asyncio.wait_for(calling, 5)
    assert (answered.status, answered.reply.body) == (200, b"")
    await _told(server)
    assert json.loads(served.audit[-1])["outcome"] == "cancelled"
    server.gate.set()
    assert (await call(caller, modern=False, id_="a")).text == "{}"


@SERVERS
async def test_a_modern_client_cancels_by_leaving_and_a_legacy_ones_leaving_means_nothing(serve: Serve, server: UpstreamServer) -> None:
    server.gate.clear()
    served, caller = start(serve, server)
    await caller.initialize()
    staying = asyncio.create_task(call(caller, modern=False, tool="bot__wait"))
    await eventually(server.calls)
    caller.channel.leave()
    leaving = asyncio.create_task(call(caller, modern=True, tool="bot__wait"))
    await eventually(lambda: len(server.calls()) == 2)
    caller.channel.leave()
    await asyncio.wait_for(leaving, 5)
    await _told(server)
    assert json.loads(served.audit[-1])["outcome"] == "cancelled"
    server.gate.set()
    assert (await asyncio.wait_for(staying, 5)).text == "{}"


async def _told(server: UpstreamServer) -> None:
    """Return when a legacy server was told that the last call is cancelled; a modern one saw its connection end."""
    if server.era == "legacy":
        last = server.calls()[-1].message["id"]
        await eventually(
            lambda: [one.message["params"] for one in server.requests if one.method == "notifications/cancelled"] == [{"requestId": last}]
        )
