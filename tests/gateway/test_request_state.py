"""Modern clients that come back with answers: to what, how often, and with whose state."""

import json

import pytest

from asking_scene import ANSWER, modern_call, world
from asking_server import FORM, AskingServer
from gateway_served import Serve
from gateway_world import ALICE, BOB

pytestmark = pytest.mark.requirement("GW-5")


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
