"""Modern clients that come back with answers: to what, how often, and with whose state."""

import json

import pytest

from asking_scene import ABLE, ANSWER, DECLARED, modern_call, world
from asking_server import FORM, AskingServer
from gateway_caller import Answered, Caller, Json
from gateway_served import Serve
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, BOB, gateway, installation, pinned, tool
from wharfinger_gateway.request_state import RequestState, StateSeal

pytestmark = pytest.mark.requirement("GW-5")
REQUIRED: Json = {
    "resultType": "input_required",
    "inputRequests": {"q": {"method": "elicitation/create", "params": FORM}},
    "requestState": "the-server's",
}


async def test_what_is_not_answered_is_asked_again_and_questions_come_one_after_the_other(serve: Serve, old_asking: AskingServer) -> None:
    old_asking.questions = [("elicitation/create", FORM), ("roots/list", {})]
    caller = serve(world(old_asking)).caller(ALICE)
    first = (await modern_call(caller)).result
    again = (await modern_call(caller, requestState=first["requestState"])).result
    assert again["inputRequests"] == first["inputRequests"]
    (key,) = again["inputRequests"]
    second = (await modern_call(caller, inputResponses={key: ANSWER}, requestState=again["requestState"])).result
    ((other, wanted),) = second["inputRequests"].items()
    assert wanted["method"] == "roots/list"
    last = await modern_call(caller, inputResponses={other: {"roots": []}}, requestState=second["requestState"])
    assert json.loads(last.text) == {"1": ANSWER, "2": {"roots": []}}
    assert len(old_asking.calls()) == 1


async def test_a_state_counts_for_its_caller_its_tool_and_its_arguments_and_once(serve: Serve, asking: AskingServer) -> None:
    served = serve(world(asking))
    caller, stranger = served.caller(ALICE), served.caller(BOB)
    first = (await modern_call(caller)).result
    state, answers = first["requestState"], dict.fromkeys(first["inputRequests"], ANSWER)
    forged = state[:-6] + ("AAAAAA" if state[-6:] != "AAAAAA" else "BBBBBB")
    for who, more in (
        (stranger, {}),
        (caller, {"arguments": {"b": 2}}),
        (caller, {"name": "bot__echo"}),
        (caller, {"requestState": forged}),
        (caller, {"requestState": ""}),
        (caller, {"requestState": f"{state}!"}),
        (caller, {"requestState": {"x": 1}}),
        (caller, {"requestState": "é" * 10}),
        (caller, {"requestState": "A" * 100_000}),
    ):
        refused = await modern_call(who, **({"inputResponses": answers, "requestState": state} | more))
        assert (refused.status, refused.error["code"]) == (400, -32602)
    reordered = await modern_call(caller, inputResponses=answers, requestState=state, arguments={"a": [2], "b": 1})
    assert list(json.loads(reordered.text).values()) == [ANSWER]
    if asking.era == "legacy":
        assert "Call the tool again" in (await modern_call(caller, inputResponses=answers, requestState=state)).text


async def test_calls_of_one_caller_that_are_asked_at_once_each_get_their_own_answer(serve: Serve, old_asking: AskingServer) -> None:
    old_asking.on_get = True
    served = serve(world(old_asking))
    callers = [served.caller(ALICE) for _ in range(3)]
    asked_first = [(await modern_call(caller)).result for caller in callers]
    for number, (caller, first) in enumerate(zip(callers, asked_first, strict=True)):
        mine = {"action": "accept", "content": {"number": number}}
        answers = dict.fromkeys(first["inputRequests"], mine)
        answered = await modern_call(caller, inputResponses=answers, requestState=first["requestState"])
        assert json.loads(answered.text) == {"1": mine}


async def test_answers_without_a_state_reach_a_server_that_needs_none(serve: Serve, new_asking: AskingServer) -> None:
    new_asking.rounds = 0
    caller = serve(world(new_asking)).caller(ALICE)
    answered = await modern_call(caller, inputResponses={"name": ANSWER})
    assert json.loads(answered.text) == {"name": ANSWER}


def what_asks(serve: Serve, server: UpstreamServer) -> Caller:
    """Return a client before a server that asks whatever it is asked for."""
    server.lists = {"prompts/list": [{"name": "ask"}], "resources/list": [{"uri": f"a://{name}", "name": name} for name in ("one", "two")]}
    server.behaviour = dict.fromkeys(("ask", "a://one", "a://two"), REQUIRED)
    selected = pinned("bot", prompts=["*"], resources=["*"])
    return serve(installation("bot", team="engineering", url=server.url, tools=[tool("ask")]), gateway("tools", selected)).caller(ALICE)


async def able(caller: Caller, method: str, params: Json, state: str | None = None) -> Answered:
    answers = {} if state is None else {"inputResponses": {"q": ANSWER}, "requestState": state}
    named = {"Mcp_Name": params["uri"]} if "uri" in params else {}
    return await caller.modern(method, params | answers, meta={DECLARED: ABLE}, **named)


async def test_a_resources_state_goes_on_with_no_other_resource(serve: Serve, modern_server: UpstreamServer) -> None:
    caller = what_asks(serve, modern_server)
    state = (await able(caller, "resources/read", {"uri": "a://one"})).result["requestState"]
    sent = len(modern_server.requests)
    refused = await able(caller, "resources/read", {"uri": "a://two"}, state)
    assert (refused.status, refused.error["code"]) == (400, -32602)
    assert len(modern_server.requests) == sent
    modern_server.behaviour["a://one"] = {"contents": []}
    assert (await able(caller, "resources/read", {"uri": "a://one"}, state)).result["contents"] == []
    read = [one.message["params"] for one in modern_server.requests if one.method == "resources/read"]
    assert read[-1]["requestState"] == "the-server's"


async def test_a_tools_state_goes_on_with_no_prompt_of_its_name(serve: Serve, modern_server: UpstreamServer) -> None:
    caller = what_asks(serve, modern_server)
    params: Json = {"name": "bot__ask", "arguments": {}}
    states = {method: (await able(caller, method, params)).result["requestState"] for method in ("tools/call", "prompts/get")}
    for method, other in (("tools/call", "prompts/get"), ("prompts/get", "tools/call")):
        refused = await able(caller, method, params, states[other])
        assert (refused.status, refused.error["code"]) == (400, -32602)
        assert (await able(caller, method, params, states[method])).result["resultType"] == "input_required"


async def test_a_state_that_is_too_old_is_refused(serve: Serve, modern_server: UpstreamServer, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = what_asks(serve, modern_server)
    monkeypatch.setattr("wharfinger_gateway.round_trip.LIFETIME", 0.0)
    state = (await able(caller, "resources/read", {"uri": "a://one"})).result["requestState"]
    refused = await able(caller, "resources/read", {"uri": "a://one"}, state)
    assert (refused.status, refused.error["code"]) == (400, -32602)
    assert refused.error["message"].endswith("or too old")


def test_a_state_counts_until_its_end_and_no_moment_longer() -> None:
    seal, state = StateSeal(b"k" * 32), RequestState("dev.tools", "principal", "call", "uid", expires_at=100.0)
    assert seal.open(seal.seal(state), 99.9) == state
    assert seal.open(seal.seal(state), 100.0) is None
