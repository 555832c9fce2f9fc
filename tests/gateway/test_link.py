"""Pages that servers want callers to open: elicitation in URL mode, in each pair of eras."""

import asyncio
import json

import pytest

from asking_scene import ABLE, LINK, OPENS, answer, asked, legacy_caller, modern_call, world
from asking_server import FORM, AskingServer
from eventually import eventually
from gateway_caller import Json
from gateway_served import Serve
from gateway_world import ALICE, gateway, installation, pinned
from own_address import ADDRESS
from recording_server import serving
from sse_server import Message, Say, SseServer

pytestmark = pytest.mark.requirement("GW-5", "GW-4")

ACCEPTED = {"action": "accept"}
PAGE = ("elicitation/create", LINK)
FORMS: Json = {"elicitation": {}}
PAGES: Json = {"elicitation": {"url": {}}}


def wants_pages(server: AskingServer) -> None:
    """Have an older server answer its next call with the error that names pages."""
    links = [LINK | {"elicitationId": "e"}, LINK | {"url": "https://example.com/other", "elicitationId": "f"}]
    server.error = {"code": -32042, "message": "open these", "data": {"elicitations": links}}
    server.questions = []


async def test_a_legacy_client_is_asked_to_open_a_page_which_has_an_id(serve: Serve, asking: AskingServer) -> None:
    asking.questions = [PAGE]
    caller = await legacy_caller(serve(world(asking)), capabilities=OPENS)
    calling = asyncio.create_task(caller.call("bot__ask"))
    question = await asked(caller)
    await answer(caller, question, ACCEPTED)

    assert json.loads((await asyncio.wait_for(calling, 5)).text) in ({"1": ACCEPTED}, {"q0": ACCEPTED})
    assert question["params"].items() >= LINK.items()
    if asking.era == "modern":
        assert question["params"]["elicitationId"]


async def test_a_modern_client_is_asked_to_open_a_page(serve: Serve, asking: AskingServer) -> None:
    asking.questions = [PAGE]
    caller = serve(world(asking)).caller(ALICE)
    first = (await modern_call(caller, OPENS)).result
    ((key, wanted),) = first["inputRequests"].items()
    second = await modern_call(caller, OPENS, inputResponses={key: ACCEPTED}, requestState=first["requestState"])

    assert wanted == {"method": "elicitation/create", "params": LINK}
    assert list(json.loads(second.text).values()) == [ACCEPTED]


@pytest.mark.parametrize("modern", [False, True], ids=["legacy client", "modern client"])
@pytest.mark.parametrize(("declared", "params"), [(FORMS, LINK), (ABLE, LINK), (PAGES, FORM)], ids=["before modes", "forms", "pages"])
async def test_who_did_not_declare_a_mode_is_not_asked_in_it(
    serve: Serve, asking: AskingServer, declared: Json, params: Json, modern: bool
) -> None:
    asking.questions = [("elicitation/create", params)]
    served = serve(world(asking))
    if modern:
        answered = await modern_call(served.caller(ALICE), declared)
    else:
        caller = await legacy_caller(served, capabilities=declared)
        answered = await asyncio.wait_for(caller.call("bot__ask"), 5)
        assert not [one for one in caller.channel.said if "id" in one]

    if asking.era == "legacy":
        assert json.loads(answered.text)["1"]["code"] == -32602
    else:
        assert answered.result["isError"]


async def test_pages_that_an_older_server_wants_opened_are_asked_of_a_modern_client(serve: Serve, old_asking: AskingServer) -> None:
    wants_pages(old_asking)
    caller = serve(world(old_asking)).caller(ALICE)
    first = (await modern_call(caller, OPENS)).result
    assert [one["params"] for one in first["inputRequests"].values()] == [LINK, LINK | {"url": "https://example.com/other"}]
    answers = dict.fromkeys(first["inputRequests"], ACCEPTED)
    answered = await modern_call(caller, OPENS, inputResponses=answers, requestState=first["requestState"])
    assert answered.text == "{}"
    assert len(old_asking.calls()) == 2


async def test_the_error_that_names_pages_goes_to_a_legacy_client_that_opens_some(serve: Serve, old_asking: AskingServer) -> None:
    wants_pages(old_asking)
    error = old_asking.error
    caller = await legacy_caller(serve(world(old_asking)), capabilities=OPENS)

    assert (await caller.call("bot__ask")).error == error


@pytest.mark.parametrize("modern", [False, True], ids=["legacy client", "modern client"])
@pytest.mark.parametrize("declared", [{}, FORMS], ids=["nothing", "forms"])
async def test_who_opens_no_pages_is_told_of_them_in_words(serve: Serve, old_asking: AskingServer, declared: Json, modern: bool) -> None:
    wants_pages(old_asking)
    served = serve(world(old_asking))
    if modern:
        answered = await modern_call(served.caller(ALICE), declared)
    else:
        answered = await (await legacy_caller(served, capabilities=declared)).call("bot__ask")

    assert answered.result["isError"]
    assert all(word in answered.text for word in ("log in: https://example.com/connect", "https://example.com/other"))


@pytest.mark.parametrize("modern", [False, True], ids=["legacy client", "modern client"])
async def test_a_page_that_an_http_sse_server_wants_opened_is_asked_for(serve: Serve, modern: bool) -> None:
    async def ask(message: Message, say: Say) -> None:
        await say({"jsonrpc": "2.0", "id": 5, "method": PAGE[0], "params": LINK | {"elicitationId": "e"}})

    server = SseServer(behaviour={"tools/call": ask})
    async with serving(host=ADDRESS) as start:
        bot = installation("bot", team="engineering", url=f"http://{(await start(server)).host}/mcp", transport="SSE")
        served = serve(bot, gateway("tools", pinned("bot")))
        if modern:
            (wanted,) = (await modern_call(served.caller(ALICE), OPENS, "bot__echo")).result["inputRequests"].values()
        else:
            caller = await legacy_caller(served, capabilities=OPENS)
            calling = asyncio.create_task(caller.call("bot__echo"))
            wanted = await asked(caller)
            await answer(caller, wanted, ACCEPTED)
            await eventually(lambda: [one["result"] for one in server.messages if one.get("id") == 5] == [ACCEPTED])
            calling.cancel()

    assert wanted["params"] == LINK | {"elicitationId": "e"}
