"""What a stdio server announces, on the streams of callers of both eras."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from yarl import URL

from bridge_process import META, MODERN, TOKEN, WAIT, Bridge, Start
from bridge_stream import Stream, unasked
from own_address import ADDRESS, rules
from wharfinger_bridge.announcements import STREAMS, Announcements, announced, requested
from wharfinger_bridge.said import Said
from wharfinger_crds.connection import Connection
from wharfinger_operator.ask_server import ServerAsker

pytestmark = pytest.mark.requirement("INS-5")

ALL = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
SUBSCRIPTION = {"io.modelcontextprotocol/subscriptionId": "sub"}
TOOLS, RESOURCES = ({"jsonrpc": "2.0", "method": f"notifications/{kind}/list_changed"} for kind in ("tools", "resources"))


@contextlib.asynccontextmanager
async def listening(bridge: Bridge, modern: bool, **wanted: bool) -> AsyncIterator[Stream]:
    if not modern:
        async with unasked(bridge) as stream:
            yield stream
        return
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": "subscriptions/listen",
    }
    params = {"notifications": wanted or ALL, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": "sub", "method": "subscriptions/listen", "params": params}).encode()
    async with bridge.http.post(f"{bridge.url}/mcp", data=io.BytesIO(body), headers=headers) as response:
        yield Stream(response)


async def begun(stream: Stream, modern: bool) -> None:
    if modern:
        acknowledged = await stream.next()
        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        assert acknowledged["params"]["_meta"] == SUBSCRIPTION
    else:
        await stream.opened()


@pytest.mark.parametrize("server", ["legacy", "modern"])
@pytest.mark.parametrize("modern", [False, True], ids=["legacy-caller", "modern-caller"])
async def test_a_change_reaches_everyone_who_listens(start: Start, server: str, modern: bool) -> None:
    bridge = await start("--era", server)
    async with listening(bridge, modern) as one, listening(bridge, modern) as other:
        for stream in (one, other):
            assert stream.response.status == 200
            assert stream.response.content_type == "text/event-stream"
            await begun(stream, modern)

        await bridge.call("announce", kind="tools")

        expected = TOOLS | ({"params": {"_meta": SUBSCRIPTION}} if modern else {})
        assert [await one.next(), await other.next()] == [expected, expected]


@pytest.mark.parametrize("server", ["legacy", "modern"])
async def test_the_operator_hears_of_a_change_of_a_stdio_server(start: Start, server: str) -> None:
    bridge, asker, heard = await start("--era", server, options=("--listen", "[::]:0")), ServerAsker("0.1.0"), asyncio.Event()
    url = URL(bridge.url).with_host(ADDRESS) / "mcp"
    header = {"name": "authorization", "value": f"Bearer {TOKEN}"}
    connection = Connection(
        namespace="team-a", name="x", uid="u", entry="e", environment="prod", url=str(url), headers=(header,), egress=rules()
    )
    assert (await asker.ask(connection, WAIT)).announces
    listener = asyncio.create_task(asker.listen(connection, heard.set))
    await asyncio.wait_for(heard.wait(), WAIT)
    heard.clear()

    await bridge.call("announce", kind="tools")

    await asyncio.wait_for(heard.wait(), WAIT)
    listener.cancel()
    await asyncio.gather(listener, return_exceptions=True)
    await asker.close()


async def test_only_what_was_asked_for_and_can_be_had_is_granted_and_said(start: Start) -> None:
    bridge = await start()
    async with listening(bridge, True, resourcesListChanged=True, promptsListChanged=True) as stream:
        acknowledged = await stream.next()
        assert acknowledged["params"]["notifications"] == {"resourcesListChanged": True}

        for kind in ("tools", "prompts", "resources"):
            await bridge.call("announce", kind=kind)

        assert (await stream.next())["method"] == RESOURCES["method"]


@pytest.mark.parametrize("modern", [False, True])
async def test_streams_end_at_once_and_in_order_when_the_bridge_stops(start: Start, modern: bool) -> None:
    bridge = await start(options=("--grace", "3600"))
    async with listening(bridge, modern) as stream:
        await begun(stream, modern)

        bridge.terminate()

        last = await stream.next()
        if modern:
            assert last == {"jsonrpc": "2.0", "id": "sub", "result": {"resultType": "complete", "_meta": SUBSCRIPTION}}
            last = await stream.next()
        assert last is None
    assert await asyncio.wait_for(bridge.process.wait(), WAIT) == 0


async def test_a_server_that_was_started_anew_may_have_other_lists(start: Start) -> None:
    bridge = await start()
    async with listening(bridge, False) as stream:
        await begun(stream, False)

        await bridge.call("exit", code=3)

        assert [await stream.next(), await stream.next()] == [RESOURCES, TOOLS]


async def test_a_stream_holds_no_call_up_and_counts_as_none(start: Start) -> None:
    bridge = await start("--era", "modern", options=("--max-in-flight", "1"))
    async with listening(bridge, True) as stream:
        await begun(stream, True)

        assert (await bridge.call("echo")).status == 200


@pytest.mark.parametrize(
    ("headers", "status"), [({"MCP-Protocol-Version": MODERN}, 405), ({"Origin": "https://x"}, 403), ({"Authorization": "no"}, 401)]
)
async def test_a_get_that_opens_no_stream_says_why(start: Start, headers: dict[str, str], status: int) -> None:
    bridge = await start()
    async with bridge.http.get(f"{bridge.url}/mcp", headers={"Authorization": f"Bearer {TOKEN}"} | headers) as response:
        assert response.status == status


async def test_the_number_of_streams_is_bounded_and_a_free_place_is_taken(start: Start) -> None:
    bridge = await start()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(STREAMS):
            await begun(await stack.enter_async_context(listening(bridge, False)), False)
        async with listening(bridge, False) as refused:
            assert refused.response.status == 503
        assert (await bridge.call("echo")).status == 200

    async with asyncio.timeout(WAIT):
        while True:
            async with listening(bridge, False) as stream:
                if stream.response.status == 200:
                    break


async def test_a_listener_that_does_not_read_makes_nothing_grow() -> None:
    announcements = Announcements()
    stream = announcements.legacy_stream(frozenset({"tools", "resources"}), Said())
    assert await anext(stream) == b": open\n\n"

    for _ in range(10_000):
        announcements.publish("notifications/tools/list_changed")
        announcements.publish("notifications/progress")
    announcements.close()

    assert [json.loads(piece.partition(b"data: ")[2]) async for piece in stream] == [TOOLS]


@pytest.mark.parametrize(
    ("capabilities", "kinds"),
    [({}, set()), ({"tools": {"listChanged": True}, "prompts": {"listChanged": False}, "resources": "odd"}, {"tools"})],
)
def test_only_what_a_server_says_of_itself_is_announced(capabilities: dict[str, Any], kinds: set[str]) -> None:
    assert announced(capabilities) == kinds


@pytest.mark.parametrize("params", [{}, {"notifications": None}, {"notifications": {"toolsListChanged": "yes"}}])
def test_odd_requests_ask_for_nothing(params: dict[str, Any]) -> None:
    assert requested(params) == frozenset()
