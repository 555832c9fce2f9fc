"""Progress of one call, told on its own stream and nowhere else."""

import asyncio
from typing import Any

import pytest

from bridge_process import MODERN, WAIT, Start
from bridge_stream import call_stream
from wharfinger_bridge.said import MOST, Said

pytestmark = pytest.mark.requirement("GW-5")


def progress(token: object, each: int) -> Any:
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": each, "x-unknown": 1}}


@pytest.mark.parametrize("token", ["mine", 1, 7])
async def test_progress_arrives_before_the_answer_under_the_callers_token(start: Start, token: object) -> None:
    bridge = await start()
    async with call_stream(bridge, "progress", {"progressToken": token}, times=2, waits=True) as stream:
        assert stream.response.content_type == "text/event-stream"
        assert [await stream.next(), await stream.next()] == [progress(token, 0), progress(token, 1)]

        await bridge.call("release")

        answer, *more = await stream.rest()
        assert answer["id"] == "call" and not more
        assert answer["result"]["content"][0]["text"].strip("[]").isdigit(), "the server's token is the bridge's own"


@pytest.mark.parametrize("server", ["legacy", "modern"])
async def test_a_modern_callers_progress_comes_alike(start: Start, server: str) -> None:
    bridge = await start("--era", server)
    params = {"name": "progress", "arguments": {"times": 1}, "_meta": {"progressToken": "mine"}}
    answer = await bridge.request("tools/call", params, modern=True)
    assert answer.body.count("event: message") == 2
    assert '"progressToken":"mine"' in answer.body and '"resultType":"complete"' in answer.body


async def test_callers_with_equal_tokens_each_hear_of_their_own_call(start: Start) -> None:
    bridge = await start()

    async def heard(times: int) -> list[Any]:
        async with call_stream(bridge, "progress", {"progressToken": "same"}, times=times) as stream:
            return await stream.rest()

    for times, messages in enumerate(await asyncio.gather(*(heard(times) for times in range(1, 21))), 1):
        assert messages[:-1] == [progress("same", each) for each in range(times)]


@pytest.mark.parametrize(
    ("meta", "accept"),
    [({}, "application/json, text/event-stream"), ({"progressToken": "mine"}, "application/json")],
    ids=["unasked", "json"],
)
async def test_who_wants_no_progress_or_takes_no_stream_gets_the_answer_alone(start: Start, meta: Any, accept: str) -> None:
    bridge = await start()
    params = {"name": "progress", "arguments": {"times": 3}} | ({"_meta": meta} if meta else {})
    answer = await bridge.request("tools/call", params, Accept=accept)
    assert answer.headers["Content-Type"] == "application/json" and answer.value == [None]


async def test_a_call_whose_progress_nobody_tells_is_answered_with_json(start: Start) -> None:
    bridge = await start()
    answer = await bridge.request("tools/call", {"name": "progress", "arguments": {"times": 0}, "_meta": {"progressToken": "mine"}})
    assert answer.headers["Content-Type"] == "application/json" and answer.value[0] > 0


@pytest.mark.parametrize("token", [None, True, 999_999, "x", [1]])
async def test_progress_under_a_token_that_was_never_given_reaches_nobody(start: Start, token: object) -> None:
    bridge = await start()
    params = {"progressToken": token, "progress": 1}
    async with call_stream(bridge, "progress", {"progressToken": "mine"}, times=0, waits=True) as waiting_is_json:
        assert waiting_is_json.response.content_type == "application/json"
    await bridge.call("say", method="notifications/progress", params=params)


async def test_a_lost_answer_ends_the_stream_with_its_reason(start: Start) -> None:
    bridge = await start()
    async with call_stream(bridge, "progress", {"progressToken": "mine"}, times=1, waits=True) as stream:
        assert await stream.next() == progress("mine", 0)

        await bridge.call("exit", code=3)

        (answer,) = await stream.rest()
        assert answer["error"]["data"] == {"reason": "ServerExited"}


@pytest.mark.parametrize("modern", [False, True])
async def test_a_caller_that_leaves_its_stream_cancels_where_its_era_says_so(start: Start, modern: bool) -> None:
    bridge = await start("--era", "dual", "--unknown", "error")
    headers = {"MCP_Protocol_Version": MODERN} if modern else {}
    params = {"name": "progress", "arguments": {"times": 1, "waits": True}, "_meta": {"progressToken": "mine"}}
    leaving = asyncio.create_task(bridge.request("tools/call", params, modern=modern, **headers))
    await asyncio.wait({leaving}, timeout=0.3)
    leaving.cancel()
    await bridge.logged("call abandoned")
    cancelled = (await bridge.call("notifications", modern=True)).value
    assert any(one["method"] == "notifications/cancelled" for one in cancelled) == modern


async def test_a_flood_of_progress_is_bounded_and_the_newest_is_kept(start: Start) -> None:
    said = Said()
    said.add({"id": 1, "method": "question"})
    for each in range(10 * MOST):
        said.add(progress(1, each))
    taken = said.take()
    assert len(taken) == MOST and taken[0]["id"] == 1 and taken[-1] == progress(1, 10 * MOST - 1)
    assert not said.take() and not said.woken.is_set()

    bridge = await start()
    async with call_stream(bridge, "progress", {"progressToken": "mine"}, times=20_000) as stream:
        *heard, answer = await stream.rest()
    assert answer["id"] == "call" and heard[-1] == progress("mine", 19_999)
    assert [one["params"]["progress"] for one in heard] == sorted({one["params"]["progress"] for one in heard})


async def test_a_caller_that_does_not_read_its_stream_holds_up_nobody(start: Start) -> None:
    bridge = await start()
    async with call_stream(bridge, "progress", {"progressToken": "x" * 3_000_000}, times=20_000) as unread:
        async with asyncio.timeout(WAIT):
            assert (await bridge.call("echo")).status == 200
        unread.response.close()
    assert (await bridge.call("echo")).status == 200
