"""What servers ask of callers while they work on their calls: each pair of eras."""

import asyncio
import json

import pytest

from asking_scene import ABLE, ANSWER, DECLARED, answer, asked, legacy_caller, modern_call, world
from asking_server import FORM, QUESTION, AskingServer
from eventually import eventually
from gateway_caller import Json
from gateway_served import Serve
from gateway_world import ALICE, BOB

pytestmark = pytest.mark.requirement("GW-5", "GW-4")


async def test_a_legacy_client_is_asked_on_its_calls_stream_and_its_answer_reaches_the_server(serve: Serve, asking: AskingServer) -> None:
    caller = await legacy_caller(serve(world(asking)))
    calling = asyncio.create_task(caller.call("bot__ask"))
    question = await asked(caller)
    assert (question["method"], question["params"]) == ("elicitation/create", FORM)
    assert (await answer(caller, question)).status == 202
    answered = await asyncio.wait_for(calling, 5)
    assert list(json.loads(answered.text).values()) == [ANSWER]
    assert len(asking.calls()) == (1 if asking.era == "legacy" else 2)
    assert len({one.message["id"] for one in asking.calls()}) == len(asking.calls())


async def test_a_modern_client_is_asked_by_a_result_and_comes_back_with_the_answer(serve: Serve, asking: AskingServer) -> None:
    served = serve(world(asking))
    caller = served.caller(ALICE)
    first = await modern_call(caller)
    assert first.result["resultType"] == "input_required"
    ((key, wanted),) = first.result["inputRequests"].items()
    assert (wanted["method"], wanted["params"]) == ("elicitation/create", FORM)
    second = await modern_call(caller, id_=2, inputResponses={key: ANSWER}, requestState=first.result["requestState"])
    assert list(json.loads(second.text).values()) == [ANSWER]
    assert second.result["resultType"] == "complete"
    assert len(asking.calls()) == (1 if asking.era == "legacy" else 2)
    assert [json.loads(line)["outcome"] for line in served.audit] == ["input_required", "ok"]


async def test_what_an_older_server_asks_at_once_is_asked_of_a_modern_client_at_once(serve: Serve, old_asking: AskingServer) -> None:
    old_asking.questions, old_asking.at_once = [QUESTION] * 3, True
    caller = serve(world(old_asking)).caller(ALICE)
    first = await modern_call(caller)
    answers = dict.fromkeys(first.result["inputRequests"], ANSWER)
    second = await modern_call(caller, id_=2, inputResponses=answers, requestState=first.result["requestState"])

    assert json.loads(second.text) == {"1": ANSWER, "2": ANSWER, "3": ANSWER}


async def test_a_question_that_an_older_server_withdraws_is_withdrawn_from_a_legacy_client(serve: Serve, old_asking: AskingServer) -> None:
    old_asking.withdraws = True
    caller = await legacy_caller(serve(world(old_asking)))
    calling = asyncio.create_task(caller.call("bot__ask"))
    question = await asked(caller)
    old_asking.gate.set()
    await asyncio.wait_for(calling, 5)

    assert caller.channel.said[-1] == {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": question["id"]}}
    assert old_asking.answers_got == 0


async def test_no_question_stays_open_that_an_older_server_withdraws_at_once(serve: Serve, old_asking: AskingServer) -> None:
    old_asking.withdraws = True
    old_asking.gate.set()
    caller = await legacy_caller(serve(world(old_asking)))
    await asyncio.wait_for(caller.call("bot__ask"), 5)

    withdrawn = [one["params"]["requestId"] for one in caller.channel.said if "id" not in one]
    assert [one["id"] for one in caller.channel.said if "id" in one] == withdrawn
    assert old_asking.answers_got == 0


async def test_a_question_that_an_older_server_withdraws_at_once_is_not_asked_of_a_modern_client(
    serve: Serve, old_asking: AskingServer
) -> None:
    old_asking.withdraws = True
    old_asking.gate.set()

    answered = await modern_call(serve(world(old_asking)).caller(ALICE))

    assert answered.text == "{}"


async def test_an_answer_that_is_no_object_is_an_error_to_an_older_server(serve: Serve, old_asking: AskingServer) -> None:
    caller = serve(world(old_asking)).caller(ALICE)
    first = await modern_call(caller)
    (key,) = first.result["inputRequests"]
    answered = await modern_call(caller, inputResponses={key: 5}, requestState=first.result["requestState"])
    assert [error["code"] for error in json.loads(answered.text).values()] == [-32602]


async def test_servers_are_told_of_what_a_caller_can_be_asked_and_no_more(serve: Serve, asking: AskingServer) -> None:
    served = serve(world(asking))
    await (await legacy_caller(served)).call("bot__echo")
    await modern_call(served.caller(ALICE), {"elicitation": {}, "experimental": {"x": {}}}, "bot__echo")
    await modern_call(served.caller(ALICE), {}, "bot__echo")
    if asking.era == "legacy":
        declared = [one.message["params"]["capabilities"] for one in asking.requests if one.method == "initialize"]
    else:
        declared = [one.message["params"]["_meta"][DECLARED] for one in asking.calls()]
    # That roots have changed is told in older sessions alone.
    assert declared == [ABLE if asking.era == "legacy" else ABLE | {"roots": {}}, {"elicitation": {}}, {}]


@pytest.mark.parametrize("modern", [False, True], ids=["legacy client", "modern client"])
async def test_who_declares_nothing_is_asked_nothing(serve: Serve, asking: AskingServer, modern: bool) -> None:
    served = serve(world(asking))
    if modern:
        answered = await modern_call(served.caller(ALICE), {})
    else:
        answered = await asyncio.wait_for((await legacy_caller(served, capabilities={})).call("bot__ask"), 5)
    if asking.era == "legacy":
        assert json.loads(answered.text)["1"]["code"] == -32601
    else:
        assert answered.result["isError"]


@pytest.mark.parametrize("modern", [False, True], ids=["legacy client", "modern client"])
async def test_a_question_that_the_caller_did_not_declare_is_declined(serve: Serve, old_asking: AskingServer, modern: bool) -> None:
    old_asking.questions = [("sampling/createMessage", {}), ("acme/unknown", {}), ("ping", {})]
    served = serve(world(old_asking))
    can: Json = {"elicitation": {}}
    if modern:
        answered = await modern_call(served.caller(ALICE), can)
    else:
        answered = await asyncio.wait_for((await legacy_caller(served, capabilities=can)).call("bot__ask"), 5)
    answers = json.loads(answered.text)
    assert [one.get("code") for one in answers.values()] == [-32601, -32601, None]


@pytest.mark.parametrize("modern", [False, True], ids=["legacy client", "modern client"])
async def test_a_question_on_the_stream_of_a_get_belongs_to_the_only_call_under_way(
    serve: Serve, old_asking: AskingServer, modern: bool
) -> None:
    old_asking.on_get = True
    served = serve(world(old_asking))
    if modern:
        caller = served.caller(ALICE)
        first = await modern_call(caller)
        (key,) = first.result["inputRequests"]
        answered = await modern_call(caller, inputResponses={key: ANSWER}, requestState=first.result["requestState"])
    else:
        caller = await legacy_caller(served)
        calling = asyncio.create_task(caller.call("bot__ask"))
        await answer(caller, await asked(caller))
        answered = await asyncio.wait_for(calling, 5)
    assert list(json.loads(answered.text).values()) == [ANSWER]


async def test_a_question_on_the_stream_of_a_get_that_may_be_of_several_calls_is_declined(serve: Serve, old_asking: AskingServer) -> None:
    old_asking.on_get = True
    caller = await legacy_caller(serve(world(old_asking)))
    waiting = asyncio.create_task(caller.request("tools/call", {"name": "bot__wait"}, id_="w"))
    await eventually(old_asking.calls)
    answered = await asyncio.wait_for(caller.request("tools/call", {"name": "bot__ask"}, id_="a"), 5)
    assert json.loads(answered.text)["1"]["code"] == -32601
    old_asking.gate.set()
    await waiting


async def test_a_server_without_a_stream_to_get_is_called_all_the_same(serve: Serve, old_asking: AskingServer) -> None:
    old_asking.has_get = False
    caller = await legacy_caller(serve(world(old_asking)))
    calling = asyncio.create_task(caller.call("bot__ask"))
    await answer(caller, await asked(caller))
    assert list(json.loads((await asyncio.wait_for(calling, 5)).text).values()) == [ANSWER]


async def test_an_answer_of_another_session_is_none_and_each_is_taken_once(serve: Serve, old_asking: AskingServer) -> None:
    served = serve(world(old_asking))
    caller, stranger = await legacy_caller(served), await legacy_caller(served, BOB)
    calling = asyncio.create_task(caller.call("bot__ask"))
    question = await asked(caller)
    await answer(stranger, question, {"action": "decline"})
    await answer(caller, {"id": "unknown"})
    assert not calling.done()
    await answer(caller, question)
    await answer(caller, question, {"action": "decline"})
    assert json.loads((await asyncio.wait_for(calling, 5)).text)["1"] == ANSWER


async def test_a_refusal_of_the_client_reaches_a_legacy_server_as_it_is(serve: Serve, old_asking: AskingServer) -> None:
    caller = await legacy_caller(serve(world(old_asking)))
    calling = asyncio.create_task(caller.call("bot__ask"))
    await answer(caller, await asked(caller), error={"code": -1, "message": "User rejected"})
    assert json.loads((await asyncio.wait_for(calling, 5)).text)["1"] == {"code": -1, "message": "User rejected"}


async def test_a_legacy_client_that_leaves_is_waited_for_no_longer(serve: Serve, asking: AskingServer) -> None:
    caller = await legacy_caller(serve(world(asking)))
    calling = asyncio.create_task(caller.call("bot__ask"))
    await asked(caller)
    caller.channel.leave()
    answered = await asyncio.wait_for(calling, 5)
    if asking.era == "legacy":
        assert json.loads(answered.text)["1"]["code"] == -32601
    else:
        assert answered.result["isError"]


async def test_a_legacy_client_is_asked_as_often_as_a_modern_server_wants_to_within_bounds(serve: Serve, new_asking: AskingServer) -> None:
    new_asking.rounds = 2
    caller = await legacy_caller(serve(world(new_asking)))
    calling = asyncio.create_task(caller.call("bot__ask"))
    for number in (1, 2):
        await answer(caller, await asked(caller, number))
    assert list(json.loads((await asyncio.wait_for(calling, 5)).text).values()) == [ANSWER]

    new_asking.rounds = 1000
    calling = asyncio.create_task(caller.call("bot__ask"))
    for number in range(3, 13):
        await answer(caller, await asked(caller, number))
    assert (await asyncio.wait_for(calling, 5)).result["isError"]


@pytest.mark.parametrize("modern", [False, True], ids=["legacy client", "modern client"])
async def test_peoples_time_is_not_the_servers(serve: Serve, asking: AskingServer, modern: bool) -> None:
    served = serve(world(asking, limits={"callTimeout": "1s"}))
    if modern:
        caller = served.caller(ALICE)
        first = (await modern_call(caller)).result
        await asyncio.sleep(1.2)
        answers = dict.fromkeys(first["inputRequests"], ANSWER)
        answered = await modern_call(caller, inputResponses=answers, requestState=first["requestState"])
    else:
        caller = await legacy_caller(served)
        calling = asyncio.create_task(caller.call("bot__ask"))
        question = await asked(caller)
        await asyncio.sleep(1.2)
        await answer(caller, question)
        answered = await asyncio.wait_for(calling, 5)
    assert list(json.loads(answered.text).values()) == [ANSWER]
    waited = await asyncio.wait_for(modern_call(served.caller(ALICE), name="bot__wait") if modern else caller.call("bot__wait"), 10)
    assert "in time" in waited.text


async def test_nobody_shares_a_session_with_who_can_be_asked(serve: Serve, old_asking: AskingServer) -> None:
    served = serve(world(old_asking))
    first, second = await legacy_caller(served), await legacy_caller(served)
    for caller in (first, second):
        await caller.call("bot__echo")
    await modern_call(served.caller(ALICE), name="bot__echo")
    sessions = [one.header("Mcp-Session-Id")[0] for one in old_asking.calls()]
    assert len(set(sessions)) == 3
    assert (await first.send(verb="DELETE")).status == 204
    await eventually(lambda: [one.header("Mcp-Session-Id") for one in old_asking.requests if one.verb == "DELETE"] == [[sessions[0]]])


async def test_calls_that_wait_for_answers_end_with_the_program_and_the_server_is_told(serve: Serve, old_asking: AskingServer) -> None:
    served = serve(world(old_asking))
    await modern_call(served.caller(ALICE))
    await served.pipeline.drain()
    last = old_asking.calls()[-1].message["id"]
    await eventually(
        lambda: [one.message["params"] for one in old_asking.requests if one.method == "notifications/cancelled"] == [{"requestId": last}]
    )
