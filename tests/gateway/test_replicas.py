"""Three replicas behind one Service: what one holds, the others pass on to it, and what happens when it is gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from asking_server import AskingServer, asking_server
from eventually import eventually
from replica_client import ABLE, ANSWER, PATH, ReplicaClient, call, event, three_replicas

pytestmark = pytest.mark.requirement("GW-4", "GW-5")


@pytest.fixture
async def server() -> AsyncIterator[AskingServer]:
    async with asking_server("legacy") as running:
        yield running


@pytest.fixture
async def client(tmp_path: Path, server: AskingServer) -> AsyncIterator[ReplicaClient]:
    async with three_replicas(tmp_path, server.url) as client:
        yield client


async def test_a_call_its_question_and_the_answer_may_come_in_by_three_replicas(client: ReplicaClient, server: AskingServer) -> None:
    await client.initialize(0, ABLE)
    async with client.sent(1, call("bot__ask", 1)) as stream:
        question = await event(stream, "method")
        assert (await client.said(2, {"jsonrpc": "2.0", "id": question["id"], "result": ANSWER}))[0] == 202
        answered = await event(stream, "result")
    assert json.loads(answered["result"]["content"][0]["text"]) == {"1": ANSWER}
    assert len(server.calls()) == 1


async def test_a_modern_client_may_come_back_to_another_replica(client: ReplicaClient, server: AskingServer) -> None:
    first = await client.modern(0, 1)
    answers = dict.fromkeys(first["inputRequests"], ANSWER)
    second = await client.modern(1, 2, inputResponses=answers, requestState=first["requestState"])
    assert json.loads(second["content"][0]["text"]) == {"1": ANSWER}
    assert len(server.calls()) == 1


async def test_a_cancellation_and_a_stream_reach_the_session_wherever_they_come_in(client: ReplicaClient, server: AskingServer) -> None:
    await client.initialize(0, {})
    async with client.sent(1) as stream:
        assert (stream.status, stream.content_type) == (200, "text/event-stream")
        calling = asyncio.create_task(client.said(2, call("bot__wait", "w")))
        await eventually(server.calls)
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "w"}}
        assert (await client.said(1, cancelled))[0] == 202
        status, text = await asyncio.wait_for(calling, 10)
        assert (status, text.replace(":\n\n", "")) == (200, "")
        async with client.http.delete(f"{client.replicas[2].url}{PATH}", headers=client.headers) as response:
            assert response.status == 204
        await asyncio.wait_for(stream.read(), 10)


async def test_messages_beside_a_stream_may_come_in_by_another_replica(client: ReplicaClient) -> None:
    async with client.sent(0, path=f"{PATH}/sse") as stream:
        block = (await stream.content.readuntil(b"\n\n")).decode()
        endpoint = block.splitlines()[1].removeprefix("data: ")
        assert (await client.said(1, {"jsonrpc": "2.0", "id": 7, "method": "ping"}, endpoint))[0] == 202
        assert await event(stream, "result") == {"jsonrpc": "2.0", "id": 7, "result": {}}
        client.replicas[0].process.kill()
        with pytest.raises(aiohttp.ClientError):
            await stream.read()
    # A connection that was kept to it may take one more message, of which nobody knows what became.
    statuses = [(await client.said(1, {"jsonrpc": "2.0", "id": n, "method": "ping"}, endpoint))[0] for n in (8, 9)]
    assert (statuses[0] in (404, 502), statuses[1]) == (True, 404)


async def test_a_session_whose_replica_is_gone_goes_on_where_nothing_is_lost_and_is_404_where_its_client_can_be_asked(
    client: ReplicaClient,
) -> None:
    plain = ReplicaClient(client.replicas, client.http)
    await plain.initialize(0, {})
    await client.initialize(0, ABLE)
    first = await client.modern(0, 1)
    client.replicas[0].process.kill()
    await client.replicas[0].process.wait()
    for replica in (1, 2):
        status, found = await plain.said(replica, call("bot__echo", 1))
        assert (status, "result" in found) == (200, True)
        status, found = await client.said(replica, call("bot__echo", 1))
        assert (status, found["id"]) == (404, None)
        async with client.sent(replica) as stream:
            assert stream.status == 404
        answers = dict.fromkeys(first["inputRequests"], ANSWER)
        gone = await client.modern(replica, 2, inputResponses=answers, requestState=first["requestState"])
        assert "Call the tool again" in gone["content"][0]["text"]
    await client.initialize(1, ABLE)
    status, found = await client.said(2, call("bot__echo", 1))
    assert (status, "result" in found) == (200, True)


async def test_a_request_hops_once_whatever_a_client_says(client: ReplicaClient) -> None:
    await client.initialize(0, ABLE)
    assert (await client.said(1, call("bot__echo", 1), Wharfinger_Hop="x"))[0] == 404
    assert (await client.said(0, call("bot__echo", 1), Wharfinger_Hop="x"))[0] == 200
    assert (await client.said(1, call("bot__echo", 1), path=f"{PATH}?a=%23#b", X_Odd="\u65e5"))[0] == 200
