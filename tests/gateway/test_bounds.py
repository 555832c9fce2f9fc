"""The bounds of time and number that a running gateway keeps, each made short."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asking_scene import ANSWER
from asking_server import QUESTION, AskingServer
from bounded_scene import PATH, Client, scene
from eventually import eventually
from gateway_upstream import PROGRESS, UpstreamServer
from gateway_world import ALICE, BOB
from raw_http import answer, connect, request, rpc, text
from watched_server import WatchedServer, watched_server

HEAD = [("Host", "127.0.0.1"), ("Authorization", f"Bearer {ALICE}"), ("Content-Type", "application/json")]
pytestmark = pytest.mark.requirement("GW-12")


@pytest.mark.parametrize(
    ("framing", "drop", "then"),
    # What is left of a short body is known, and may still come.
    [([("Content-Length", "1000")], b"x", None), ([("Transfer-Encoding", "chunked")], b"1\r\nx\r\n", "close")],
    ids=["content-length", "chunked"],
)
async def test_a_body_that_drips_is_refused_after_its_time_while_others_are_served(
    tmp_path: Path, legacy_server: UpstreamServer, framing: list[tuple[str, str]], drop: bytes, then: str | None
) -> None:
    async with scene(tmp_path, legacy_server, {"request_body.BODY_SECONDS": 1.0}) as running:
        reader, writer = await connect(running.process.url)
        writer.write(request("POST", PATH, [*HEAD, *framing], b""))
        answering = asyncio.create_task(answer(reader))
        (bob,) = await running.clients(BOB, 1)
        async with asyncio.timeout(20):
            while not answering.done():
                writer.write(drop)
                assert (await bob.call("bot__echo"))[0] == 200
                await asyncio.wait([answering], timeout=0.05)
        answered = await answering
        assert (answered.status, answered.code, answered.message["id"]) == (400, -32700, None)
        assert answered.headers.get("connection") == then
        writer.close()


async def pieces(client: Client, name: str) -> AsyncIterator[tuple[str, bytes]]:
    """Give the media type of a call's answer, and each piece as it comes."""
    body = json.dumps(rpc("tools/call", {"name": name, "arguments": {}}))
    async with client.http.post(f"{client.url}{PATH}", data=body, headers=client.fields) as response:
        async for piece, _ in response.content.iter_chunks():
            yield response.content_type, piece


async def test_a_call_that_takes_long_is_answered_on_a_stream_that_stays_alive_and_a_quick_one_at_once(
    tmp_path: Path, legacy_server: UpstreamServer
) -> None:
    async with scene(tmp_path, legacy_server, {"channel.PATIENCE_SECONDS": 0.1, "channel.BEAT_SECONDS": 0.1}) as running:
        (alice,) = await running.clients(ALICE, 1)
        assert [kind async for kind, _ in pieces(alice, "bot__echo")] == ["application/json"]
        said = b""
        async for kind, piece in pieces(alice, "bot__wait"):
            assert kind == "text/event-stream"
            said += piece
            if said.count(b":\n\n") >= 2:
                legacy_server.gate.set()
        (answer,) = [line for line in said.splitlines() if line.startswith(b"data: ")]
        assert json.loads(answer.removeprefix(b"data: "))["result"]["content"]


async def test_a_stream_on_which_nothing_happens_stays_alive(tmp_path: Path, legacy_server: UpstreamServer) -> None:
    async with scene(tmp_path, legacy_server, {"channel.BEAT_SECONDS": 0.1}) as running:
        (alice,) = await running.clients(ALICE, 1)
        stream = await alice.stream()
        assert [await stream.content.readexactly(3) for _ in range(3)] == [b":\n\n"] * 3


async def test_who_does_not_read_what_his_call_says_is_let_go_and_the_call_ends(tmp_path: Path, modern_server: UpstreamServer) -> None:
    progress = {"method": "notifications/progress", "params": {"progressToken": PROGRESS, "progress": 1, "message": "x" * 1_000_000}}
    modern_server.says["echo"] = [progress] * 16
    async with scene(tmp_path, modern_server, {"http_server.ConnectionBounds.stalled_seconds": 0.3}) as running:
        alice = running.client(ALICE)
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        host, _, port = running.process.url.removeprefix("http://").rpartition(":")
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, (host, int(port)))
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "progressToken": 1,
        }
        fields = alice.fields | {
            "Host": "127.0.0.1",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": "bot__echo",
        }
        body = text(rpc("tools/call", {"name": "bot__echo", "arguments": {}, "_meta": meta}))
        await loop.sock_sendall(raw, request("POST", PATH, fields.items(), body))
        await eventually(lambda: running.process.out)
        assert json.loads(running.process.out[0])["outcome"] == "cancelled"
        got = 0
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                while piece := await loop.sock_recv(raw, 1_000_000):
                    got += len(piece)
        assert got < 8_000_000
        raw.close()


async def test_of_calls_that_wait_for_callers_there_is_a_number_in_all(tmp_path: Path, old_asking: AskingServer) -> None:
    async with scene(tmp_path, old_asking, {"conversation.MAX_CONVERSATIONS": 1}) as running:
        alice, bob = running.client(ALICE), running.client(BOB)
        first = await alice.ask()
        refused = await bob.ask()
        assert (refused["isError"], "wait for that already" in refused["content"][0]["text"]) == (True, True)
        answers = dict.fromkeys(first["inputRequests"], ANSWER)
        await alice.ask(inputResponses=answers, requestState=first["requestState"])
        assert (await bob.ask())["resultType"] == "input_required"


async def test_a_call_to_which_nobody_comes_back_is_ended_and_its_server_told(tmp_path: Path, old_asking: AskingServer) -> None:
    async with scene(tmp_path, old_asking, {"conversation.ANSWER_SECONDS": 0.2}) as running:
        alice = running.client(ALICE)
        first = await alice.ask()
        await eventually(lambda: old_asking.requests[-1].method == "notifications/cancelled")
        late = await alice.ask(inputResponses=dict.fromkeys(first["inputRequests"], ANSWER), requestState=first["requestState"])
        assert (late["isError"], late["content"][0]["text"]) == (
            True,
            "The tool's server waits for this answer no longer. Call the tool again.",
        )


async def test_a_client_is_asked_so_many_things_at_once_and_the_rest_is_declined(tmp_path: Path, old_asking: AskingServer) -> None:
    old_asking.questions, old_asking.at_once = [QUESTION] * 4, True
    async with scene(tmp_path, old_asking, {"dialogue.MAX_QUESTIONS": 2, "conversation.MAX_QUESTIONS": 2}) as running:
        alice, (bob,) = running.client(ALICE), await running.clients(BOB, 1)
        modern = await alice.ask()
        await eventually(lambda: old_asking.answers_got == 2)
        while modern.get("resultType") == "input_required":
            answers: dict[str, Any] = dict.fromkeys(modern["inputRequests"], ANSWER)
            modern = await alice.ask(inputResponses=answers, requestState=modern["requestState"])
        legacy = await answered_late(bob, old_asking)
        for result in (modern, legacy):
            answered = json.loads(result["content"][0]["text"]).values()
            assert [one.get("code") for one in answered] == [None, None, -32601, -32601]


async def test_a_question_that_nobody_answers_is_declined_and_the_call_goes_on(tmp_path: Path, old_asking: AskingServer) -> None:
    async with scene(tmp_path, old_asking, {"dialogue.ANSWER_SECONDS": 0.2}) as running:
        (bob,) = await running.clients(BOB, 1)
        body = json.dumps(rpc("tools/call", {"name": "bot__ask", "arguments": {}}))
        async with bob.http.post(f"{bob.url}{PATH}", data=body, headers=bob.fields) as response:
            said = [json.loads(line.removeprefix(b"data: ")) async for line in response.content if line.startswith(b"data: {")]

        assert json.loads(said[-1]["result"]["content"][0]["text"])["1"]["code"] == -32601


async def answered_late(client: Client, server: AskingServer) -> Any:
    """Call the tool that asks, answer when the server has got what was declined, and return the call's result."""
    so_far, asked = server.answers_got, []
    body = json.dumps(rpc("tools/call", {"name": "bot__ask", "arguments": {}}))
    async with client.http.post(f"{client.url}{PATH}", data=body, headers=client.fields) as response:
        async for line in response.content:
            message = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
            if "result" in message:
                return message["result"]
            asked += [message["id"]] if message else []
            if message and len(asked) == 2:
                await eventually(lambda: server.answers_got == so_far + 2)
                for id_ in asked:
                    told = text({"jsonrpc": "2.0", "id": id_, "result": ANSWER})
                    async with client.http.post(f"{client.url}{PATH}", data=told, headers=client.fields) as taken:
                        assert taken.status == 202
    raise AssertionError("the call has no result")


async def test_a_server_of_the_newest_era_that_asks_for_too_much_at_once_has_failed(tmp_path: Path, new_asking: AskingServer) -> None:
    new_asking.questions = [QUESTION] * 3
    async with scene(tmp_path, new_asking, {"dialogue.MAX_QUESTIONS": 2}) as running:
        (alice,) = await running.clients(ALICE, 1)
        (answered,) = [one async for one in pieces(alice, "bot__ask")]
        assert answered[0] == "application/json", "nothing was asked"
        assert json.loads(answered[1])["result"]["isError"]
        assert len(new_asking.calls()) == 1


async def test_a_session_with_a_server_ends_unused_and_not_under_a_call(tmp_path: Path, old_asking: AskingServer) -> None:
    bounds = {"upstreams.SWEEP_SECONDS": 0.1, "upstreams.IDLE_SECONDS": 0.2}
    async with scene(tmp_path, old_asking, bounds) as running:
        idle, calling = running.client(ALICE), running.client(BOB)
        waiting = asyncio.create_task(calling.modern("tools/call", {"name": "bot__wait", "arguments": {}}))
        await eventually(lambda: len(old_asking.calls()) == 1)
        await idle.modern("tools/call", {"name": "bot__echo", "arguments": {}})
        used = [one.header("Mcp-Session-Id") for one in old_asking.calls()]
        await eventually(lambda: [one.header("Mcp-Session-Id") for one in old_asking.requests if one.verb == "DELETE"] == [used[1]])
        await idle.modern("tools/call", {"name": "bot__echo", "arguments": {}})
        assert old_asking.calls()[-1].header("Mcp-Session-Id") not in used
        old_asking.gate.set()
        assert "result" in (await waiting)[1]
        await eventually(lambda: len([one for one in old_asking.requests if one.verb == "DELETE"]) == 3)


@pytest.fixture
async def watched() -> AsyncIterator[WatchedServer]:
    async with watched_server("legacy") as running:
        yield running


async def test_a_clients_session_ends_unused_and_not_while_it_listens(tmp_path: Path, watched: WatchedServer) -> None:
    async with scene(tmp_path, watched, {"pipeline.SWEEP_SECONDS": 0.1, "sessions.IDLE_SECONDS": 0.5}) as running:
        idle, listening = await running.clients(ALICE, 2)
        await listening.stream()
        await idle.send("resources/subscribe", {"uri": "a://0"})
        await eventually(lambda: watched.requests[-1].method == "resources/unsubscribe")
        assert [(await one.send("ping"))[0] for one in (idle, listening)] == [404, 200]


async def test_of_resources_a_client_is_told_of_so_many(tmp_path: Path, watched: WatchedServer) -> None:
    async with scene(tmp_path, watched, {"subscribe.MAX_SUBSCRIPTIONS": 2}) as running:
        (alice,) = await running.clients(ALICE, 1)
        answered = [(await alice.send("resources/subscribe", {"uri": f"a://{n}"}))[1] for n in range(3)]
        assert [one.get("result") for one in answered] == [{}, {}, None]
        assert answered[2]["error"] == {"code": -32602, "message": "Invalid params a session has at most 2 subscriptions"}
        await alice.send("resources/unsubscribe", {"uri": "a://0"})
        assert (await alice.send("resources/subscribe", {"uri": "a://2"}))[1]["result"] == {}


async def test_of_resources_a_stream_tells_of_so_many_and_says_of_which(tmp_path: Path, watched: WatchedServer) -> None:
    async with scene(tmp_path, watched, {"answer.MAX_SUBSCRIPTIONS": 2}) as running:
        stream = await running.client(ALICE).listen("a://0", "a://1", "a://2")
        said = json.loads((await stream.content.readuntil(b"\n\n")).removeprefix(b"data: "))
        assert said["params"]["notifications"] == {"resourceSubscriptions": ["a://0", "a://1"]}
        assert watched.watched == {"a://0", "a://1"}


async def test_at_one_server_so_many_resources_are_watched(tmp_path: Path, watched: WatchedServer) -> None:
    async with scene(tmp_path, watched, {"watched.MAX_WATCHED": 2}) as running:
        alice, bob = [(await running.clients(token, 1))[0] for token in (ALICE, BOB)]
        answered = [(await alice.send("resources/subscribe", {"uri": f"a://{n}"}))[1] for n in range(3)]
        assert [one.get("result") for one in answered] == [{}, {}, None]
        assert answered[2]["error"]["code"] == -32000
        assert watched.watched == {"a://0", "a://1"}
        assert (await bob.send("resources/subscribe", {"uri": "a://2"}))[1]["result"] == {}
