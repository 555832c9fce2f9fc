"""A server of one session: what it says and asks reaches that session's caller, and what the caller answers reaches it."""

import asyncio
from typing import Any

import pytest

from bridge_process import Bridge, Start
from bridge_stream import call_stream, unasked
from wharfinger_bridge.audience import MOST_QUESTIONS

pytestmark = pytest.mark.requirement("GW-5")

ONE = ("--max-sessions", "2")
CAPABILITIES = {"sampling": {}, "elicitation": {"form": {}}, "roots": {"listChanged": True}}
LOG: dict[str, Any] = {"method": "notifications/message", "params": {"level": "info", "data": "x"}}


async def reply(bridge: Bridge, session: str, id_: object, **outcome: Any) -> int:
    return (await bridge.post({"jsonrpc": "2.0", "id": id_} | outcome, Mcp_Session_Id=session)).status


@pytest.mark.requirement("ORC-2")
@pytest.mark.parametrize("sessions", ["1", "2"])
async def test_the_server_is_told_what_its_caller_can_be_asked_for_and_nothing_else(start: Start, sessions: str) -> None:
    bridge = await start(options=("--max-sessions", sessions))
    session = await bridge.session(CAPABILITIES | {"experimental": {}, "tasks": {}, "x": 1})
    handshake = (await bridge.call("handshake", session=session)).value
    assert handshake["capabilities"] == CAPABILITIES
    if sessions == "2":
        spare = await bridge.session({"experimental": {}})
        assert (await bridge.call("handshake", session=spare)).value["capabilities"] == {}


async def test_a_server_of_both_eras_is_spoken_to_in_the_era_of_sessions(start: Start) -> None:
    bridge = await start("--era", "dual", options=ONE)
    session = await bridge.session(CAPABILITIES)
    assert (await bridge.call("handshake", session=session)).value["protocolVersion"] == "2025-11-25"


async def test_a_modern_server_that_does_not_know_the_old_handshake_is_found_out_by_patience(start: Start) -> None:
    bridge = await start("--era", "modern", "--unknown", "ignore", options=(*ONE, "--probe-patience", "0.5"))
    assert (await bridge.call("echo", session=await bridge.session(CAPABILITIES))).status == 200


async def test_all_that_the_server_can_is_offered_and_served(start: Start) -> None:
    bridge = await start(options=ONE)
    initialized = await bridge.request("initialize", {"protocolVersion": "2025-11-25"})
    assert initialized.body["result"]["capabilities"]["logging"] == {}
    assert initialized.body["result"]["capabilities"]["resources"]["subscribe"] is True
    session = initialized.headers["Mcp-Session-Id"]
    for method in ("logging/setLevel", "resources/subscribe"):
        assert (await bridge.request(method, Mcp_Session_Id=session)).body["result"] == {"served": method}


async def test_a_question_comes_on_the_calls_stream_and_its_answer_reaches_the_server(start: Start) -> None:
    bridge = await start(options=ONE)
    session = await bridge.session(CAPABILITIES)
    async with call_stream(bridge, "question", session=session, method="elicitation/create", ids=["q", 3]) as stream:
        asked = [await stream.next(), await stream.next()]
        assert [(one["id"], one["method"], one["params"]) for one in asked] == [(id_, "elicitation/create", {"x": 1}) for id_ in ("q", 3)]

        assert await reply(bridge, session, 3, error={"code": -1, "message": "no"}) == 202
        assert await reply(bridge, session, "q", result={"action": "accept"}) == 202

        (answer,) = await stream.rest()
    assert '"action": "accept"' in answer["result"]["content"][0]["text"] and '"code": -1' in answer["result"]["content"][0]["text"]


async def test_log_records_come_on_the_stream_of_the_call_that_began_last(start: Start) -> None:
    bridge = await start(options=ONE)
    session = await bridge.session(CAPABILITIES)
    async with unasked(bridge, session) as stream:
        await stream.opened()
        async with call_stream(bridge, "say", session=session, **LOG) as called:
            first, answer = await called.rest()
    assert first == {"jsonrpc": "2.0"} | LOG and answer["id"] == "call"


async def test_what_belongs_to_no_call_comes_on_the_sessions_own_stream_and_on_no_other(start: Start) -> None:
    bridge = await start(options=ONE)
    mine, others = await bridge.session(CAPABILITIES), await bridge.session(CAPABILITIES)
    async with unasked(bridge, mine) as stream, unasked(bridge, others) as foreign:
        await stream.opened()
        await foreign.opened()
        updated: dict[str, Any] = {"method": "notifications/resources/updated", "params": {"uri": "x:y"}}

        assert (await bridge.call("say", session=mine, **updated)).value == "said"
        assert (await bridge.call("announce", session=others, kind="tools")).value == "announced"

        assert await stream.next() == {"jsonrpc": "2.0"} | updated
        changed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
        assert [await stream.next(), await foreign.next()] == [changed, changed]


async def test_a_withdrawn_question_is_withdrawn_at_the_caller_and_its_late_answer_reaches_nobody(start: Start) -> None:
    bridge = await start(options=ONE)
    session = await bridge.session(CAPABILITIES)
    async with call_stream(bridge, "question", session=session, method="roots/list", ids=["q"], withdraw=True) as stream:
        question, withdrawn, _ = await stream.rest()
    assert (question["id"], withdrawn["method"], withdrawn["params"]) == ("q", "notifications/cancelled", {"requestId": "q"})
    assert await reply(bridge, session, "q", result={}) == 202
    async with call_stream(bridge, "question", session=session, method="roots/list", ids=["r"]) as stream:
        await stream.next()
        await reply(bridge, session, "r", result={"roots": []})
        (answer,) = await stream.rest()
    assert '"roots"' in answer["result"]["content"][0]["text"]


async def test_questions_are_bounded_and_declined_where_nobody_listens(start: Start) -> None:
    bridge = await start(options=ONE)
    session = await bridge.session(CAPABILITIES)
    many = [f"q{each}" for each in range(MOST_QUESTIONS + 1)]
    async with call_stream(bridge, "question", session=session, method="roots/list", ids=many) as stream:
        asked = [(await stream.next())["id"] for _ in range(MOST_QUESTIONS)]
        assert asked == many[:-1]
        for id_ in asked:
            await reply(bridge, session, id_, result={})
        (answer,) = await stream.rest()
    assert answer["result"]["content"][0]["text"].count("nobody can be asked") == 1
    params = {"name": "question", "arguments": {"method": "roots/list", "ids": ["z"]}}
    alone = await bridge.request("tools/call", params, Mcp_Session_Id=session, Accept="application/json")
    assert alone.value[0]["error"]["code"] == -32601


async def test_answers_to_nothing_and_to_another_sessions_question_change_nothing(start: Start) -> None:
    bridge = await start(options=ONE)
    mine, others = await bridge.session(CAPABILITIES), await bridge.session(CAPABILITIES)
    async with call_stream(bridge, "question", session=mine, method="roots/list", ids=["q"]) as stream:
        await stream.next()
        assert await reply(bridge, others, "q", result={"roots": ["foreign"]}) == 202
        assert await reply(bridge, mine, "unknown", result={}) == 202
        assert await reply(bridge, "0" * 32, "q", result={}) == 404
        assert await reply(bridge, mine, "q", result={"roots": ["mine"]}) == 202
        (answer,) = await stream.rest()
    assert "mine" in answer["result"]["content"][0]["text"] and "foreign" not in answer["result"]["content"][0]["text"]


async def test_changed_roots_reach_the_server_of_the_session(start: Start) -> None:
    bridge = await start(options=ONE)
    session = await bridge.session(CAPABILITIES)
    changed = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
    assert (await bridge.post(changed, Mcp_Session_Id=session)).status == 202
    heard = await bridge.call("heard", session=session, method="notifications/roots/list_changed", count=1)
    assert len(heard.value) == 1


@pytest.mark.requirement("ORC-2")
async def test_a_shared_server_neither_asks_nor_tells_any_of_its_callers(start: Start) -> None:
    bridge = await start()
    session = await bridge.session(CAPABILITIES)
    async with unasked(bridge) as stream:
        await stream.opened()
        assert (await bridge.call("handshake", session=session)).value["capabilities"] == {}
        assert (await bridge.call("say", session=session, **LOG)).value == "said"
        assert (await bridge.call("question", session=session, method="roots/list", ids=["q"])).value[0]["error"]["code"] == -32601
        assert await reply(bridge, session, "q", result={}) == 400
        await bridge.call("announce", session=session, kind="tools")
        assert (await stream.next())["method"] == "notifications/tools/list_changed"


async def test_a_server_that_dies_ends_the_stream_of_its_session(start: Start) -> None:
    bridge = await start(options=ONE)
    session = await bridge.session(CAPABILITIES)
    async with unasked(bridge, session) as stream:
        await stream.opened()
        await bridge.call("exit", session=session, code=3)
        async with asyncio.timeout(10):
            assert await stream.next() is None
        assert (await bridge.get("/readyz")).status == 200
