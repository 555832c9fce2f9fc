"""Calls through a running bridge: many callers, one server process."""

import asyncio
import json
from collections import Counter

import pytest

from bridge_process import META, MODERN, TOKEN, Start

SERVER_INFO = {"name": "test-server", "version": "7"}
ERAS = [("legacy", False), ("legacy", True), ("modern", False), ("modern", True)]


@pytest.mark.requirement("ORC-2")
@pytest.mark.parametrize(("server", "modern"), ERAS)
async def test_two_hundred_concurrent_callers_with_equal_ids_each_get_their_own_answer(start: Start, server: str, modern: bool) -> None:
    bridge = await start("--era", server)
    answers = await asyncio.gather(
        *(bridge.call("sleep", id_=each % 3, modern=modern, seconds=(199 - each) / 400, value=each) for each in range(200))
    )
    assert [answer.value for answer in answers] == list(range(200))
    assert [answer.body["id"] for answer in answers] == [each % 3 for each in range(200)]


@pytest.mark.parametrize("id_", [0, -5, 2**70, "", "7", "ключ\ud800"])
async def test_the_callers_id_comes_back_with_its_type(start: Start, id_: object) -> None:
    bridge = await start()
    answer = await bridge.call("echo", id_=id_)
    assert answer.body["id"] == id_ and type(answer.body["id"]) is type(id_)
    assert answer.value["id"] != id_


async def test_unknown_members_pass_through_both_ways(start: Start) -> None:
    bridge = await start()
    answer = await bridge.request("tools/list")
    assert answer.body["result"]["tools"] == [{"name": "echo", "inputSchema": {"type": "object", "$defs": {"x": {}}}, "x-unknown": 1}]
    params = {
        "name": "echo",
        "arguments": {"text": "ü\u2028😀\ud800", "big": 2**80},
        "x-unknown": [None],
        "_meta": {"traceparent": "00-1-2-01", "progressToken": 4},
    }
    echoed = await bridge.request("tools/call", params)
    token = echoed.value["params"]["_meta"]["progressToken"]
    assert echoed.value["params"] == params | {"_meta": {"traceparent": "00-1-2-01", "progressToken": token}}
    assert token == echoed.value["id"]


async def test_a_modern_caller_of_a_legacy_server_gets_complete_results(start: Start) -> None:
    bridge = await start("--era", "legacy", "--version", "2024-11-05")
    discovered = (await bridge.request("server/discover", modern=True)).body["result"]
    assert discovered == {
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
        "supportedVersions": [MODERN],
        "capabilities": {"tools": {"listChanged": True}, "resources": {"listChanged": True}, "x-unknown": {"listChanged": True}},
        "instructions": "be kind",
        "_meta": {"io.modelcontextprotocol/serverInfo": SERVER_INFO},
    }
    listed = (await bridge.request("tools/list", modern=True)).body["result"]
    assert (listed["resultType"], listed["ttlMs"], listed["cacheScope"]) == ("complete", 0, "private")
    called = await bridge.request("tools/call", {"name": "echo", "_meta": {"progressToken": "p", "traceparent": "t"}}, modern=True)
    assert called.body["result"]["resultType"] == "complete" and "ttlMs" not in called.body["result"]
    assert called.value["params"] == {"name": "echo", "_meta": {"traceparent": "t", "progressToken": called.value["id"]}}


async def test_a_legacy_caller_of_a_modern_server_needs_no_envelope(start: Start) -> None:
    bridge = await start("--era", "modern")
    answer = await bridge.call("echo")
    assert answer.value["params"]["_meta"] == {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "wharfinger-bridge", "version": "0.1.0"},
    }


async def test_a_modern_callers_envelope_reaches_a_modern_server(start: Start) -> None:
    bridge = await start("--era", "modern")
    answer = await bridge.call("echo", modern=True)
    assert answer.value["params"]["_meta"] == META


@pytest.mark.parametrize(
    ("offered", "agreed"), [("2025-06-18", "2025-06-18"), ("2025-03-26", "2025-03-26"), ("2099-01-01", "2025-11-25"), (None, "2025-11-25")]
)
async def test_initialize_is_answered_from_the_servers_handshake(start: Start, offered: object, agreed: str) -> None:
    bridge = await start("--era", "modern")
    answer = await bridge.request("initialize", {"protocolVersion": offered, "capabilities": {"sampling": {}}})
    assert answer.body["result"] == {
        "protocolVersion": agreed,
        "capabilities": {"tools": {"listChanged": True}, "resources": {"listChanged": True}, "x-unknown": {"listChanged": True}},
        "serverInfo": SERVER_INFO,
        "instructions": "be kind",
    }
    assert (await bridge.call("notifications")).value == []


async def test_pings_are_answered_and_notifications_swallowed_without_the_server(start: Start) -> None:
    bridge = await start()
    assert (await bridge.request("ping", id_="p")).body == {"jsonrpc": "2.0", "id": "p", "result": {}}
    for method in ("notifications/initialized", "notifications/roots/list_changed", "notifications/cancelled", "x"):
        answer = await bridge.post({"jsonrpc": "2.0", "method": method})
        assert (answer.status, answer.body) == (202, "")
    assert [each["method"] for each in (await bridge.call("notifications")).value] == ["notifications/initialized"]


@pytest.mark.parametrize(
    ("method", "modern"),
    [("server/discover", False), ("initialize", True), ("ping", True), ("subscriptions/listen", False)]
    + [(method, modern) for method in ("logging/setLevel", "resources/subscribe") for modern in (False, True)],
)
async def test_what_cannot_be_shared_or_streamed_is_an_unknown_method(start: Start, method: str, modern: bool) -> None:
    bridge = await start()
    answer = await bridge.request(method, id_=9, modern=modern)
    assert answer.status == (404 if modern else 200)
    assert (answer.body["id"], answer.body["error"]["code"]) == (9, -32601)


@pytest.mark.parametrize(("modern", "status"), [(False, 200), (True, 400)])
async def test_the_servers_errors_pass_through_with_the_status_of_the_callers_era(start: Start, modern: bool, status: int) -> None:
    bridge = await start()
    answer = await bridge.call("no_such_tool", id_="e", modern=modern)
    assert (answer.status, answer.body) == (status, {"jsonrpc": "2.0", "id": "e", "error": {"code": -32602, "message": "Unknown tool"}})


@pytest.mark.requirement("ORC-2")
async def test_a_server_that_asks_back_is_answered_without_any_caller(start: Start) -> None:
    bridge = await start()
    answers = (await bridge.call("ask")).value
    assert answers["ask-ping"] == {"jsonrpc": "2.0", "id": "ask-ping", "result": {}}
    assert answers["ask-sampling/createMessage"]["error"]["code"] == -32601


async def test_notifications_before_an_answer_do_not_disturb_it(start: Start) -> None:
    bridge = await start()
    assert (await bridge.call("notify")).value == "notified"


async def test_not_a_number_becomes_null_on_its_way(start: Start) -> None:
    bridge = await start()
    assert (await bridge.call("not_a_number")).body["result"]["structuredContent"] == {"x": None, "y": 1}


@pytest.mark.requirement("ORC-2")
async def test_a_cancelled_call_ends_at_once_and_only_for_the_session_that_cancels(start: Start) -> None:
    bridge = await start()
    sessions = [(await bridge.request("initialize")).headers["Mcp-Session-Id"] for _ in range(2)]
    assert sessions[0] != sessions[1]
    calls, lines = [], []
    for times, session in enumerate(sessions, 1):
        calls.append(asyncio.create_task(bridge.call("hang", id_=5, session=session)))
        lines.append(await bridge.logged("hanging", times=times))
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
    assert (await bridge.post(cancelled)).status == 202
    assert (await bridge.post(cancelled, Mcp_Session_Id=sessions[1])).status == 202
    answer = await asyncio.wait_for(calls[1], 10)
    assert (answer.body["id"], answer.body["error"]["data"]) == (5, {"reason": "Cancelled"})
    [heard] = (await bridge.call("heard", method="notifications/cancelled", count=1)).value
    assert lines[1] == f"hanging {heard['params']['requestId']}"
    assert not calls[0].done()
    calls[0].cancel()


async def test_a_caller_that_leaves_before_it_says_that_it_cancels_is_heard(start: Start) -> None:
    bridge = await start()
    session = (await bridge.request("initialize")).headers["Mcp-Session-Id"]
    leaving = asyncio.create_task(bridge.call("hang", id_=5, session=session))
    await bridge.logged("hanging")
    leaving.cancel()
    await bridge.logged("call abandoned")
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}

    for _ in range(2):
        await bridge.post(cancelled, Mcp_Session_Id=session)

    heard = [one for one in (await bridge.call("notifications")).value if one["method"] == "notifications/cancelled"]
    assert len(heard) == 1


@pytest.mark.parametrize(("server", "modern"), ERAS)
async def test_a_caller_that_leaves_cancels_only_where_its_era_says_so(start: Start, server: str, modern: bool) -> None:
    bridge = await start("--era", server)
    leaving = asyncio.create_task(bridge.call("hang", modern=modern))
    await bridge.logged("hanging")
    leaving.cancel()
    await bridge.logged("call abandoned")
    cancelled = [each for each in (await bridge.call("notifications")).value if each["method"] == "notifications/cancelled"]
    assert len(cancelled) == modern
    assert len([line for line in bridge.log if "hanging" in line]) == 1, "the call was sent again"


async def test_calls_beyond_the_limit_are_refused_and_later_ones_served_again(start: Start) -> None:
    bridge = await start(options=("--max-in-flight", "3", "--call-timeout", "2"))
    waiting = [asyncio.create_task(bridge.call("hang", id_=each)) for each in range(4)]
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    [refused] = [task.result() for task in done]
    assert (refused.status, refused.headers["Retry-After"], refused.body["error"]["code"]) == (503, "1", -32603)
    for answer in await asyncio.gather(*pending):
        assert (answer.status, answer.body["error"]["data"]) == (200, {"reason": "Timeout"})
    assert (await bridge.call("echo")).status == 200
    assert len((await bridge.call("heard", method="notifications/cancelled", count=3)).value) == 3


@pytest.mark.requirement("ORC-2")
async def test_nobody_without_the_token_learns_anything(start: Start) -> None:
    bridge = await start()
    for authorization in ("", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"):
        for method, path in (("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp"), ("GET", "/nothing")):
            async with bridge.http.request(method, f"{bridge.url}{path}", headers={"Authorization": authorization}, data=b"{") as response:
                assert (response.status, response.headers["WWW-Authenticate"], await response.read()) == (401, "Bearer", b"")
    assert TOKEN not in "\n".join(bridge.log)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 200),
        ("PUT", {}, 405),
        ("DELETE", {}, 200),
        ("POST", {"Content-Type": "text/plain"}, 415),
        ("POST", {"Content-Type": "application/json", "Accept": "text/event-stream"}, 406),
        ("POST", {"Content-Type": "application/json", "Origin": "https://evil.example"}, 403),
        ("POST", {"Content-Type": "application/json; charset=utf-8", "Accept": "*/*"}, 200),
    ],
)
async def test_methods_and_media_types_are_checked(start: Start, method: str, headers: dict[str, str], status: int) -> None:
    bridge = await start()
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    async with bridge.http.request(
        method, f"{bridge.url}/mcp", headers={"Authorization": f"Bearer {TOKEN}"} | headers, data=body
    ) as response:
        assert response.status == status


async def test_a_body_of_any_framing_is_read_up_to_its_limit(start: Start) -> None:
    bridge = await start(options=("--max-body", "100000"))

    async def chunks() -> object:
        for part in json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"x": "y" * 50000}}}
        ):
            yield part.encode()

    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with bridge.http.post(f"{bridge.url}/mcp", headers=headers, data=chunks()) as response:
        assert response.status == 200
    statuses = Counter([(await bridge.call("echo", x="y" * 200_000)).status for _ in range(3)])
    assert statuses == {413: 3}
